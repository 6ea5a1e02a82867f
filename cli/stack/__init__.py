"""The local stack: private servers, a gateway and workers as child processes of one command."""
