from jackfield.ofproto.pipeline import frames


def test_a_frame_begins_at_its_first_step() -> None:
    frame = frames.Frame(frames.ACTION_SET_STEPS)
    assert (frame.index, frame.end, frame.saved, frame.opened) == (0, None, None, 0)


def test_limits_are_those_of_open_vswitch() -> None:
    assert (frames.MAX_DEPTH, frames.MAX_RESUBMITS) == (64, 4096)
