"""Expert review of instruction data: a drawn sample goes to physicians as a page or a sheet, their verdicts come back, a lot is accepted or not.

In: a file of items. Out: a folder with the queue, its page and its sheets; imported answers; agreement, shares with intervals, and what may be accepted.
"""
