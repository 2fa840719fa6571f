"""The page on which a reader looks at a finished study: what it shows, and how it is written.

points      of every image: its places, its drift, what it is taken for
groups      of every class, and of all: diagrams, distances, accuracy, angles, loops
thumbnails  small pictures of the images at every noise level, in sheets
site        the folder of the page: its text, its modules, what it shows as data
page/       the page itself, in HTML, CSS and JavaScript
vendor/     regl-scatterplot, which draws the points, as one file; how it is made
"""
