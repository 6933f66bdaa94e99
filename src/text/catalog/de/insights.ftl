# Was geschah, und was ansteht.

insights-tokens = Tokens
