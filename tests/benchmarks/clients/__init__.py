"""The clients that are compared, each in a module that loads only its own library.

Each is a context manager that is given where the gateways are and hands out one function a gateway; calling it polls
that gateway once, over a connection that is kept where the client can keep one, and parses the answer's JSON.
"""
