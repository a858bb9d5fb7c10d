"""When something is due, in steps. A step counts once it is finished: after the first one, `step` is 1."""


def due(step: int, *, every: int, last: int) -> bool:
    """Whether it is time after `step` finished steps of `last`: at each multiple of `every`, and at `last`.

    `every=0` means at the last step only. Before the first step nothing is due, unless it is also the last.
    """
    assert every >= 0, f"a cadence is a number of steps, 0 or more; got {every}"
    return step == last or (every > 0 and step > 0 and step % every == 0)
