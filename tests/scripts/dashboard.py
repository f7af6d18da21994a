"""Reads the dashboard of template.yaml: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""

import json
import re

import template

WIDTH = 24
# What Logs Insights knows beside the fields of a line.
WORDS = {"count", "pct", "as", "by", "sort", "desc", "limit", "stats", "filter", "and"}


def body(document):
    """The dashboard's JSON, resources in it as `${X}`."""
    (properties,) = template.resources(document, "AWS::CloudWatch::Dashboard").values()
    return json.loads(properties["DashboardBody"]["Fn::Sub"])


def dashboard_metrics(document):
    """Of each line of each graph: its title, and namespace, name and dimensions of the metric."""
    try:
        widgets = body(document)["widgets"]
    except ValueError:
        return
    for widget in widgets:
        for metric in widget["properties"].get("metrics", []):
            namespace, name, *rest = [part for part in metric if isinstance(part, str)]
            yield widget["properties"]["title"], (namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)))


def dashboard_problems(document, page):
    """What is wrong with its JSON, its layout and its queries; `page` is docs/LOGGING.md."""
    try:
        widgets = body(document)["widgets"]
    except ValueError as error:
        yield f"the dashboard is no JSON: {error}"
        return
    text = json.dumps(widgets)
    for name in set(re.findall(r"\$\{([^}]*)\}", text)):
        if name not in document["Resources"] and not name.startswith("AWS::"):
            yield f"the dashboard names {name}, which is not there"
    taken = {}
    for widget in widgets:
        properties = widget["properties"]
        title = properties.get("title") or properties["markdown"]
        if widget["type"] not in ("metric", "log", "text"):
            yield f"{title}: no widget of type {widget['type']}"
        if widget["type"] != "text" and properties["region"] != "${AWS::Region}":
            yield f"{title}: it is of another region"
        if widget["x"] + widget["width"] > WIDTH:
            yield f"{title}: it is wider than the dashboard"
        for place in ((x, y) for x in range(widget["x"], widget["x"] + widget["width"]) for y in range(widget["y"], widget["y"] + widget["height"])):
            other = taken.setdefault(place, title)
            if other != title:
                yield f"{title}: it lies on {other}"
                break
        if widget["type"] == "log":
            yield from query_problems(document, page, title, properties["query"])


def query_problems(document, page, title, query):
    """Whether a query is about log groups, lines and fields that there are."""
    for group in re.findall(r"SOURCE '\$\{(\w+)\}'", query):
        if document["Resources"].get(group, {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{title}: {group} is no log group"
    commands = query[query.index("filter") :]
    for message in re.findall(r"message = '([^']*)'", commands):
        if f"| `{message}` |" not in page:
            yield f"{title}: docs/LOGGING.md has no line {message}"
    named = set(re.findall(r" as (\w+)", commands))
    for word in re.findall(r"[a-z_]\w*", re.sub(r"'[^']*'", "", commands)):
        if word not in WORDS | named | {"message", "level"} and f"| `{word}` |" not in page:
            yield f"{title}: docs/LOGGING.md has no field {word}"
