"""What a condition in CEL says, read so that its mistakes are found before it is ever asked.

The library that evaluates conditions checks their grammar and nothing else: a misspelt member, a call with an argument
too many or a number compared with text would be found when a request comes. Here they are found when a policy is read.
"""
