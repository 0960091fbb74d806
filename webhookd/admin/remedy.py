"""What to do about deliveries that were given up, by what their last attempt found. Pure."""

_BY_STATUS = {
    400: "The merchant's code does not take it: its log says why. Mended there, it can be replayed.",
    401: "The merchant does not know us: compare the endpoint's secret and headers with what it checks.",
    403: "The merchant or a firewall of its forbids it: compare the secret, and have our address let through.",
    404: "Nobody is at this path: compare the endpoint's URL with the merchant's route.",
    405: "The merchant's route takes no POST: compare the endpoint's URL.",
    408: "The merchant was too slow to take it: have it answer first, and work afterwards.",
    410: "The merchant wants no more of these: ask it, then resume the endpoint or remove it.",
    413: "The merchant takes no body of this size: have its limit raised.",
    415: "The merchant takes no JSON there: compare the endpoint's URL.",
    422: "The merchant's code does not take it: its log says why. Mended there, it can be replayed.",
    429: "It was too much at a time: set the endpoint's rate_limit or max_in_flight, and replay with a rate.",
}
_BY_ERROR = {
    "redirect": "The merchant has moved: set the endpoint's URL to where it points now.",
    "timeout": "The merchant takes too long: have it answer first and work afterwards; or raise the timeout.",
    "connect": "Nobody takes connections there: is the merchant up, are host and port right, is a firewall between?",
    "disconnected": "The merchant hangs up before it answers: its log, or its proxy's, says why.",
    "dns": "The host of the URL has no address: compare the name, and look at the DNS.",
    "tls": "Its certificate is not trusted or has expired: have it renewed, or name its authority (the endpoint's ca).",
    "proxy": "The egress proxy is down or refuses: look at it, and at its settings.",
    "blocked": "Deliveries may not go to its address: compare the URL, or see delivery.allow_networks.",
    "url": "Nothing can be sent to this URL: put the endpoint's URL right.",
    "protocol": "What is there does not speak HTTP: compare scheme and port of the URL.",
    "unsigned": "It is to bear the provider's signature, and its source is not configured any more: put that back.",
    "internal": "webhookd itself failed: its log says how (attempt_failed_inside).",
}


def remedy(error: str | None, status: int | None) -> str:
    """In a sentence or two, for who is on call."""
    if error in _BY_ERROR:
        return _BY_ERROR[error]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and status >= 500:
        return "The merchant fails: its log says why. When it is mended, replay."
    return "The merchant refuses it: its answer, with each attempt, says why."
