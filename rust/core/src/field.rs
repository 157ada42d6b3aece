//! One numeric field of a record, read alone.

use crate::error::{Error, Result};
use crate::layout::FIELD_WORDS;
use crate::session::Session;

/// Where a field lies among the words of a record.
#[derive(Clone, Copy)]
enum Place {
    Float(usize),
    Count(usize),
    /// Not a word of its own in the copies: taken from the whole record.
    Derived,
}

fn place_of(name: &str) -> Option<Place> {
    Some(match name {
        "creation_time" => Place::Float(1),
        "last_completed" => Place::Count(2),
        "completion_count" => Place::Count(3),
        "env_steps" => Place::Count(4),
        "reward_ema" => Place::Float(5),
        "ema_squared" => Place::Float(6),
        "success_rate_ema" => Place::Float(7),
        "total_score" => Place::Float(8),
        "last_score" => Place::Float(9),
        "p_fast" => Place::Float(10),
        "p_slow" => Place::Float(11),
        "p_true" => Place::Float(12),
        "random_baseline" => Place::Float(13),
        "lp_score" => Place::Float(14),
        "weight" => Place::Float(15),
        "success_threshold" => Place::Float(16),
        "seed" => Place::Count(17),
        "generator_type" => Place::Float(18),
        "evidence" => Place::Float(19),
        "task_id" | "generation" | "last_scheduled" | "scheduled_count" | "mean_score" => {
            Place::Derived
        }
        _ => return None,
    })
}

impl Session {
    /// One numeric field, or column, of a task as a float.
    ///
    /// # Errors
    /// `UnknownTask`; `Value` for a name that is no numeric field and no column.
    #[inline]
    pub fn field(&self, task_id: i64, name: &str) -> Result<f64> {
        let place = match place_of(name) {
            Some(place) => place,
            None => Place::Float(FIELD_WORDS + self.column(name)?),
        };
        let value = match place {
            Place::Float(at) => self.word(task_id, at).map(f64::from_bits),
            #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
            Place::Count(at) => self.word(task_id, at).map(|count| count as f64),
            Place::Derived => self.derived(task_id, name),
        };
        value.ok_or(Error::UnknownTask(task_id))
    }

    #[inline]
    fn word(&self, task_id: i64, at: usize) -> Option<u64> {
        let table = self.table();
        loop {
            let slot = table.find(task_id)?;
            let (tenant, word) = table.record(slot).word(at);
            if tenant.live && tenant.task_id == task_id {
                return Some(word);
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
    fn derived(&self, task_id: i64, name: &str) -> Option<f64> {
        let data = self.read(task_id)?;
        Some(match name {
            "task_id" => task_id as f64,
            "generation" => f64::from(data.generation),
            "last_scheduled" => data.last_scheduled as f64,
            "scheduled_count" => data.scheduled_count as f64,
            _ => data.mean_score(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SessionOptions;
    use crate::record::TaskData;

    fn session() -> Session {
        Session::open(&SessionOptions {
            capacity: Some(4),
            columns: vec!["noise".into(), "age".into()],
            ..SessionOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn every_field_is_that_of_the_whole_record() {
        let session = session();
        let mut data = TaskData::new(7);
        data.completion_count = 3;
        data.env_steps = 4;
        data.seed = 5;
        data.creation_time = 6.5;
        data.last_completed = 8;
        data.last_scheduled = 9;
        data.scheduled_count = 10;
        data.columns[..2].copy_from_slice(&[0.25, 0.5]);
        for (at, field) in [
            &mut data.reward_ema,
            &mut data.ema_squared,
            &mut data.success_rate_ema,
            &mut data.total_score,
            &mut data.last_score,
            &mut data.p_fast,
            &mut data.p_slow,
            &mut data.p_true,
            &mut data.random_baseline,
            &mut data.lp_score,
            &mut data.success_threshold,
            &mut data.generator_type,
        ]
        .into_iter()
        .enumerate()
        {
            *field = 0.125 * (at + 1) as f64;
        }
        session.write(&data, None).unwrap();
        let read = session.read(7).unwrap();
        for (name, value) in [
            ("task_id", 7.0),
            ("generation", f64::from(read.generation)),
            ("creation_time", 6.5),
            ("last_scheduled", 9.0),
            ("last_completed", 8.0),
            ("completion_count", 3.0),
            ("scheduled_count", 10.0),
            ("env_steps", 4.0),
            ("reward_ema", read.reward_ema),
            ("ema_squared", read.ema_squared),
            ("success_rate_ema", read.success_rate_ema),
            ("total_score", read.total_score),
            ("last_score", read.last_score),
            ("p_fast", read.p_fast),
            ("p_slow", read.p_slow),
            ("p_true", read.p_true),
            ("random_baseline", read.random_baseline),
            ("lp_score", read.lp_score),
            ("weight", read.weight),
            ("success_threshold", read.success_threshold),
            ("seed", 5.0),
            ("generator_type", read.generator_type),
            ("mean_score", read.mean_score()),
            ("noise", 0.25),
            ("age", 0.5),
        ] {
            assert_eq!(session.field(7, name).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn unknown_tasks_and_names_are_told_apart() {
        let session = session();
        assert!(matches!(
            session.field(1, "p_fast"),
            Err(Error::UnknownTask(1))
        ));
        assert!(matches!(
            session.field(1, "mean_score"),
            Err(Error::UnknownTask(1))
        ));
        let message = session.field(1, "pfast").unwrap_err().to_string();
        assert!(
            message.contains("pfast") && message.contains("noise"),
            "{message}"
        );
    }
}
