"""An agent in one file: it joins the running network with an identity of its own. Start it: `python agent.py`."""

from stead.agents.kit import Agent, Principal

agent = Agent("hello", "Greets whoever asks, by name.")


@agent.skill(scopes=("greet:read",), examples=["say hello to me", "greet me"])
async def greet(user: Principal) -> str:
    """Greets the person in whose stead it is called."""
    return f"Hello {user.name}: {user.client_id} asked me, in your stead."


if __name__ == "__main__":
    agent.serve()
