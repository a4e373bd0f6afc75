"""Drills: the running building under a steady load, one thing going wrong at a time, and an account of every reading and command.

`python -m tests.faults.drills --help`. A drill (`catalogue`) disturbs the stand (`stand`: services, roles, a counting bus) while
another process writes readings (`load`) and keeps the ledger of what Kafka acknowledged; the books (`books`) then compare that
ledger with the log, the tables, the history, the commands and what arrived at the actuators; `table` prints one row a drill.
"""
