"""Questions and answers in words: rewordings and templates with their audit; instruction data written, built, filtered, reviewed and mixed."""
