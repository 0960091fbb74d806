"""What may be said of an error of ours in a log: its class and where it came from. Its message may quote a request."""


def place(error: BaseException | None) -> str:
    """File and line of the innermost frame, or "?" where there is none."""
    trace = getattr(error, "__traceback__", None)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
