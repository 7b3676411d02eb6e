"""
A catalyst with three wells
===========================
Reactant, intermediate and product on the surface of Mueller and Brown: the network of wells and the way
between them.
"""
import fpkit as fp

V = fp.catalogue.mueller_brown()
network = fp.well_network(V, theta=0.3)
print(network)
path = fp.minimum_energy_path(V, V.minima[0], V.minima[1])
wells, way = fp.plot(network), fp.plot(path)
