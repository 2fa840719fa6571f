"""The report on two revisions of a study: what differs, as a comment and as a page.

sides       what a revision holds, and whether two were put to the same test
changes     of accuracy, of verdicts, of distances over their baseline
comparison  all that differs, and the sentence that says the most of it
markdown    Markdown as GitHub renders it
comment     the comment for a pull request
page        the page, which opens with no network
"""
