"""The lessons: one folder each with its figures, experiments, exercises, questions, claims and results.

`notebooks/README.md` says what belongs where; `shared` holds what two or more lessons use.
"""
