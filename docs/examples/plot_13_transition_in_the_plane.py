"""
A transition in the plane
=========================
Committor, reactive current and minimum-energy path between two wells, in one picture.
"""
import fpkit as fp

V = fp.catalogue.mueller_brown()
picture = fp.transition_picture(V, 0.6, V.minima[0].x, V.minima[1].x, fp.Grid(V.box, (80, 80)))
print(picture)
transition = fp.plot(picture)
