"""What the pages say. Each tells what is, and what to do next; none tells a stranger what was asked or by whom."""

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a page looks: a drawn mark and a colour, never the colour alone. The words say the same without either."""

    DONE = "done"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `onward` is a link (label, address); with `hurry` the browser follows it by itself."""

    title: str
    lead: str
    tone: Tone = Tone.STOP
    status: int = 200
    note: str | None = None
    onward: tuple[str, str] | None = None
    hurry: bool = False


UNKNOWN = Page(
    "This link leads nowhere",
    "There is no such request here. It may have been mistyped, or it is from another network.",
    status=404,
    note="Open the link from the page where you were asked.",
)
FOREIGN = Page(
    "This is not your answer to give",
    "This browser did not start this step, or it took too long.",
    status=400,
    note="Open the link from the page where you were asked, in this browser.",
)
EXPIRED = Page("Too late", "The time to authorize this is over. Nothing was done.", note="Ask for it again.")
CANCELED = Page("Taken back", "The request was taken back. Nothing was done.")
DECLINED = Page("Declined", "You said no. Nothing was done.", note="You can close this page.")
GRANTED = Page("Already authorized", "This was authorized, once. It is not needed again.", Tone.DONE)


def not_yours(visitor: str) -> Page:
    """Somebody else opened the link."""
    return Page(
        "This request is not yours",
        f"You are signed in as {visitor}, and this was asked on behalf of somebody else.",
        status=403,
        note="Only that person can authorize it. If it is you, sign out at your company and open the link again.",
    )


def other_account(provider: str, visitor: str) -> Page:
    """Another person signed in at the provider."""
    return Page(
        f"That was somebody else at {provider}",
        f"The sign-in at {provider} is not the one that belongs to {visitor}. Nothing was done.",
        status=403,
        note=f"Sign out at {provider}, then open the link again and sign in as yourself.",
    )


def not_linked(provider: str, visitor: str) -> Page:
    """There is nobody to ask."""
    return Page(
        f"No account at {provider}",
        f"No sign-in at {provider} is known to belong to {visitor}, so nobody there can be asked.",
        status=403,
        note="Ask whoever operates this desk to link your account.",
    )


def signed_in(visitor: str, provider: str, explanation: str, onward: str) -> Page:
    """Between the two sign-ins: what comes next, and where."""
    return Page(
        f"On to {provider}",
        f"Signed in as {visitor}. {explanation}",
        Tone.WAIT,
        note=f"{provider} shows you what is to be done, and asks you there.",
        onward=(f"Continue to {provider}", onward),
        hurry=True,
    )


def try_again(provider: str, onward: str) -> Page:
    """It went wrong on the way, and may go right the next time."""
    return Page(
        "That did not work",
        f"The answer of {provider} could not be used. Nothing was done.",
        status=502,
        onward=("Try once more", onward),
    )


def confirmed(provider: str, explanation: str, onward: str) -> Page:
    """The last page."""
    return Page(
        f"{provider} confirmed",
        explanation,
        Tone.DONE,
        note="It goes on by itself; you can close this page. Your authorization was for this once, and is used up.",
        onward=("Back to FinPort", onward),
    )
