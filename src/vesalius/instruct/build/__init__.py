"""Instruction data from what data sets state: labels, boxes, reports and earlier films, to the task families of CheXinstruct."""
