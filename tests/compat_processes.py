"""Runs functions of `compat_workers` in processes of their own."""

import multiprocessing

import compat_workers


def run(method, target, *argument_lists):
    """One process for each list of arguments; their results, in any order."""
    context = multiprocessing.get_context(method)
    results = context.Queue()
    processes = [
        context.Process(target=compat_workers.store_result, args=(results, target, arguments))
        for arguments in argument_lists
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    for result in found:
        if isinstance(result, Exception):
            raise result
    return found
