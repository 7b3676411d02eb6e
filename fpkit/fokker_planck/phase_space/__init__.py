"""Phase space: the density u(x, v, t) of dx = v dt, dv = -(f' + g v) dt + sqrt(2 g theta) dW (Klein-Kramers).

du/dt = -v d_x u + f' d_v u + g d_v(v u + theta d_v u): even velocity modes on nodes, odd ones on edges.
H. Risken, The Fokker-Planck Equation, Springer (1989), chapter 10.
"""
