"""A benchmark of de-identification: studies with planted identifiers and planted research data, one required action for each; ours and others beside it.

In: a seed and a number of studies. Out: a folder of DICOM files and reports, the list of what must become of each planted thing, scores of programs.
"""
