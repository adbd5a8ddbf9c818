"""Questions and answers in words: rewordings, templates, the audit of both."""
