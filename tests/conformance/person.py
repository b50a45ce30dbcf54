"""A person who answers the lender by a program: `person.py NAME yes|no LINK`. Prints the callback."""

import re
import sys
from urllib.parse import urljoin

import httpx

name, say, link = sys.argv[1:]
with httpx.Client(follow_redirects=True, trust_env=False) as client:
    task = re.search(r'name="task" value="(\w+)"', client.get(link).text)
    page = client.post(urljoin(link, "/login"), data={"who": name, "password": name, "task": task[1] if task else ""})
    if page.status_code != 200:
        sys.exit(1)
    print(client.post(link, data={"say": say}).url)
