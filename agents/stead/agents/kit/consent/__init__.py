"""How a person gives an agent's question an answer: the pages of the agent, and the second provider behind them."""
