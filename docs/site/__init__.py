"""The manual as web pages: ``python -m docs.site build``, or ``make docs``.

Pages are the Markdown files of README and docs, as people read them in the checkout. ``staging``
copies them to where MkDocs reads, with links that lead out of ``docs/`` mended; ``reference`` makes
pages from help texts, launch files, interfaces and nodes. Nothing is fetched from a network.
"""
