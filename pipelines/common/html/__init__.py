"""The one kit that every HTML page is made of: self-contained files, no script, nothing fetched.

`page` is the frame, `parts` are tables, cards, bars and figures, `charts` draws line charts, `pictures` embeds images,
`environment` renders templates. The templates and the style sheet lie in `templates/`.
"""
