//! Changes of a valid file, word by word, as a fuzzer can find and shrink them.

/// Bytes of one edit: position, kind, operand.
const EDIT: usize = 11;

/// Words at which something ends.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    5,
    6,
    0xff,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 48,
    (1 << 48) - 1,
    i64::MAX as u64,
    u64::MAX,
    0x7ff0_0000_0000_0000, // infinity
    0x7ff8_0000_0000_0000, // NaN
    0x40b0_0000_0000_0000, // 4096.0, where weights end
];

/// Applies the edits that `input` spells to `words`. Only a file that may grow gains or loses any.
pub fn apply(input: &[u8], words: &mut Vec<u64>, may_grow: bool) {
    for edit in input.as_chunks::<EDIT>().0.iter().take(64) {
        let position = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let operand = u64::from_le_bytes(edit[3..].try_into().expect("eight bytes"));
        if words.is_empty() {
            return;
        }
        let at = position % words.len();
        let other = operand as usize % words.len();
        match edit[2] % 8 {
            0 => words[at] = operand,
            1 => words[at] ^= 1 << (operand % 64),
            2 => words[at] = words[at].wrapping_add(operand),
            3 => words[at] = EDGES[operand as usize % EDGES.len()],
            4 => words[at] = words[other],
            5 => words.swap(at, other),
            6 if may_grow => words.insert(at, operand),
            7 if may_grow => drop(words.drain(at..words.len().min(at + other))),
            _ => {}
        }
    }
}

/// Words of bytes; what is left of them is dropped.
pub fn words_of(bytes: &[u8]) -> Vec<u64> {
    let chunks = bytes.as_chunks::<8>().0;
    chunks.iter().map(|c| u64::from_le_bytes(*c)).collect()
}

/// Bytes of words.
pub fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Words without the zeros at their end.
pub(super) fn without_zeros(words: &[u64]) -> &[u64] {
    let last = words.iter().rposition(|word| *word != 0);
    &words[..last.map_or(0, |last| last + 1)]
}
