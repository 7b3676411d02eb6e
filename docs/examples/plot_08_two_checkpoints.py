"""
Two checkpoints compared
========================
Two trained networks, the line between them and beyond: the barrier that separates the two solutions.
"""
import fpkit as fp
from fpkit.landscapes.adapters import problem_loss
from fpkit.learning.classifiers import wine
from fpkit.learning.training import train

problem = wine(width=4)
a, b = (train(problem, 200, start=wine(width=4, seed=s).start(), weight_decay=0.1).x for s in (1, 2))
line = fp.Plane.line(a, b)
land = fp.export_landscape("line.h5", problem_loss(problem), line, overwrite=True)
print(land.merge_tree())
profile = fp.plot(land)
