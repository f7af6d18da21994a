"""Holds template.yaml to what cfn-lint and checkov cannot know of it: that each alarm and each graph is about something that is there, that
nothing optional is on by default, that nothing is lost with the stack, that the rules refuse what cannot be deployed, and that the
documented rights of who deploys it suffice. Each check is shown to find something: in a copy that was spoiled for it.

    template_checks.py

tests/scripts/template-checks.sh runs it."""

import copy
import json
import re
import sys

import deployer
import template
from conditions import Conditions
from dashboard import dashboard_metrics, dashboard_problems

# What AWS writes by itself, by namespace, and the dimensions under which it is found.
METRICS = {
    "AWS/Lambda": (
        {"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "IteratorAge", "DestinationDeliveryFailures"},
        [{"FunctionName"}],
    ),
    "AWS/ApiGateway": ({"Count", "4xx", "5xx", "Latency", "IntegrationLatency"}, [{"ApiId"}]),
    "AWS/DynamoDB": (
        {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents"},
        [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    ),
    "AWS/S3": ({"NumberOfObjects", "BucketSizeBytes"}, [{"BucketName", "StorageType"}]),
}
OF_TYPE = {
    "FunctionName": "AWS::Serverless::Function",
    "ApiId": "AWS::Serverless::HttpApi",
    "TableName": "AWS::DynamoDB::Table",
    "BucketName": "AWS::S3::Bucket",
}
# What cannot be made again: deletion protection, and point-in-time recovery.
LASTING = {"EventsTable", "WebhooksTable", "SourcesTable", "SecretsTable", "RegistryTable"}
OPTIONAL = ("AWS::CloudWatch::", "AWS::SNS::", "AWS::ApiGatewayV2::", "AWS::Route53::", "AWS::Logs::MetricFilter", "AWS::KMS::")


def plain(value):
    """`!Ref X` and `!Sub text` as text; a resource as `${X}`."""
    if isinstance(value, dict) and "Ref" in value:
        return "${" + value["Ref"] + "}"
    if isinstance(value, dict) and "Fn::Sub" in value:
        return value["Fn::Sub"]
    return value


def own_metrics(document):
    """Namespace and name of what metric filters make."""
    filters = template.resources(document, "AWS::Logs::MetricFilter")
    return {
        (plain(t["MetricNamespace"]), t["MetricName"]): f for f in filters.values() for t in f["MetricTransformations"]
    }


def metric_problems(document, where, namespace, name, dimensions):
    """What is wrong with a metric that is watched or shown."""
    if (namespace, name) in own_metrics(document):
        if dimensions:
            yield f"{where}: {name} has no dimensions"
        return
    names, dimension_sets = METRICS.get(namespace, (set(), []))
    if name not in names:
        yield f"{where}: there is no metric {namespace} {name}"
    if set(dimensions) not in dimension_sets:
        yield f"{where}: {namespace} {name} is not found by {sorted(dimensions)}"
    for dimension, value in dimensions.items():
        kind = OF_TYPE.get(dimension)
        if kind and document["Resources"].get(str(value)[2:-1], {}).get("Type") != kind:
            yield f"{where}: {value} is no {kind}"
    index = dimensions.get("GlobalSecondaryIndexName")
    if index:
        table = document["Resources"].get(dimensions["TableName"][2:-1], {}).get("Properties", {})
        if index not in [i["IndexName"] for i in table.get("GlobalSecondaryIndexes", [])]:
            yield f"{where}: {dimensions['TableName']} has no index {index}"


def alarm_metrics(properties):
    """Namespace, name and dimensions of all that an alarm watches."""
    stats = [m["MetricStat"]["Metric"] for m in properties.get("Metrics", []) if "MetricStat" in m] or [properties]
    return [
        (plain(s["Namespace"]), s["MetricName"], {d["Name"]: plain(d["Value"]) for d in s.get("Dimensions", [])}) for s in stats
    ]


def alarms(document):
    """Each is about something that is there, and tells the one topic; nothing that should be watched is left out."""
    watched = set()
    for name, properties in template.resources(document, "AWS::CloudWatch::Alarm").items():
        for metric in alarm_metrics(properties):
            watched.add((metric[1], *metric[2].values()))
            yield from metric_problems(document, name, *metric)
        for actions in ("AlarmActions", "OKActions"):
            if properties.get(actions) != [{"Ref": "AlarmTopic"}]:
                yield f"{name}: {actions} is not the topic alone"
        if document["Resources"][name].get("Condition") != "HasAlarmEmail":
            yield f"{name} is not under HasAlarmEmail"
    functions = template.resources(document, "AWS::Serverless::Function")
    wanted = {("Errors", "${" + f + "}") for f in functions}
    # operate is invoked by hand, one at a time.
    wanted |= {("Throttles", "${" + f + "}") for f in functions if f != "OperateFunction"}
    streams = [f for f, p in functions.items() if any(e["Type"] == "DynamoDB" for e in p.get("Events", {}).values())]
    wanted |= {(metric, "${" + f + "}") for f in streams for metric in ("IteratorAge", "DestinationDeliveryFailures")}
    wanted |= {("5xx", "${HttpApi}"), ("NumberOfObjects", "${FailedRecordsBucket}", "AllStorageTypes"), ("OldestDue",)}
    for missing in sorted(wanted - watched):
        yield f"no alarm on {' of '.join(missing)}"


def metric_filters(document):
    """What is counted from a line is what stands in it, as docs/LOGGING.md has it; the tests hold that page to the sources."""
    page = (template.ROOT / "docs/LOGGING.md").read_text()
    for metric, properties in own_metrics(document).items():
        group = properties["LogGroupName"]["Ref"]
        function = binary_that_writes_to(document, group)
        line = re.search(r'\$\.message = "([^"]+)"', properties["FilterPattern"])
        field = properties["MetricTransformations"][0]["MetricValue"].removeprefix("$.")
        rows = [r for r in page.splitlines() if r.startswith(f"| `{function}` |") and line and f"`{line[1]}`" in r]
        if len(rows) != 1 or f"`{field}`" not in rows[0] or f"$.{field} " not in properties["FilterPattern"]:
            yield f"{metric[1]}: docs/LOGGING.md has no line of {function} with {field} that {properties['FilterPattern']} finds"


def binary_that_writes_to(document, group):
    """The binary that writes to a log group."""
    for name, properties in template.resources(document, "AWS::Serverless::Function").items():
        if properties["LoggingConfig"]["LogGroup"] == {"Ref": group}:
            return document["Resources"][name]["Metadata"]["BuildProperties"]["Binary"]
    return None


def dashboard(document):
    """It is what CloudWatch takes, and each graph is about something that is there."""
    yield from dashboard_problems(document, (template.ROOT / "docs/LOGGING.md").read_text())
    for where, metric in dashboard_metrics(document):
        yield from metric_problems(document, where, *metric)


def kept(document):
    """Nothing that was registered or acknowledged goes with the stack, or with a change that replaces it."""
    for name, resource in document["Resources"].items():
        if resource["Type"] not in ("AWS::DynamoDB::Table", "AWS::S3::Bucket"):
            continue
        properties = resource["Properties"]
        # What is protected against deletion cannot go when its creation is rolled back; the rest is empty then, and only in the way.
        on_deletion = "Retain" if properties.get("DeletionProtectionEnabled") else "RetainExceptOnCreate"
        for policy, wanted in (("DeletionPolicy", on_deletion), ("UpdateReplacePolicy", "Retain")):
            if resource.get(policy) != wanted:
                yield f"{name}: {policy} is not {wanted}"
        if name in LASTING and properties.get("DeletionProtectionEnabled") is not True:
            yield f"{name} has no deletion protection"
        if name in LASTING and not properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled"):
            yield f"{name} has no point-in-time recovery"
        if "TableName" in properties or "BucketName" in properties:
            yield f"{name} has a fixed name, so that a change that replaces it fails"


def optional(document):
    """What costs something while nothing happens, or needs an answer, is off by default."""
    conditions = Conditions(document)
    for name, resource in document["Resources"].items():
        if resource["Type"].startswith(OPTIONAL) and ("Condition" not in resource or conditions.holds(resource["Condition"])):
            yield f"{name} ({resource['Type']}) is on by default"
    for name, properties in template.resources(document, "AWS::Serverless::Function").items():
        reserved = conditions.resolve(properties.get("ReservedConcurrentExecutions"))
        if reserved not in (None, {"Ref": "AWS::NoValue"}):
            yield f"{name} reserves concurrency by default"
    if document["Parameters"]["EmbeddedMetrics"]["Default"] != "disabled":
        yield "EmbeddedMetrics is on by default"


def parameters(document):
    """Each says what it is, has a default that keeps to its own bounds, is in one group, and is in README.md."""
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    readme = (template.ROOT / "README.md").read_text()
    for name, parameter in document["Parameters"].items():
        default = parameter.get("Default")
        if not parameter.get("Description", "").endswith(".") or default is None:
            yield f"{name} has no description or no default"
        bounds = {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter)
        if not bounds:
            yield f"{name} takes anything"
        if "AllowedPattern" in parameter and ("ConstraintDescription" not in parameter or not re.match(parameter["AllowedPattern"], default)):
            yield f"{name}: its pattern has no explanation, or refuses its default"
        if default not in parameter.get("AllowedValues", [default]):
            yield f"{name}: its default is not allowed"
        if grouped.count(name) != 1:
            yield f"{name} is in {grouped.count(name)} groups"
        if f"`{name}`" not in readme:
            yield f"{name} is not in README.md"
    for name, output in document["Outputs"].items():
        if not output.get("Description"):
            yield f"the output {name} has no description"


URL, CERTIFICATE, ZONE = "https://hooks.example.com", "arn:aws:acm:eu-central-1:123456789012:certificate/a", "Z0123456789"
# Parameters, and the rule that refuses them, if one does.
RULES = [
    ({}, None),
    ({"PublicUrl": URL}, None),
    ({"PublicUrl": URL, "CertificateArn": CERTIFICATE}, None),
    ({"PublicUrl": URL, "CertificateArn": CERTIFICATE, "HostedZoneId": ZONE}, None),
    ({"AlarmEmail": "ops@example.com"}, None),
    ({"CertificateArn": CERTIFICATE}, "CertificateNeedsPublicUrl"),
    ({"PublicUrl": URL, "HostedZoneId": ZONE}, "HostedZoneNeedsCertificate"),
    ({"AlarmEmail": "ops@example.com", "LogLevel": "warn"}, "OldestDueNeedsLines"),
    ({"AlarmEmail": "ops@example.com", "LogLevel": "error"}, "OldestDueNeedsLines"),
    ({"Dashboard": "enabled"}, None),
    ({"Dashboard": "enabled", "LogLevel": "warn"}, "OldestDueNeedsLines"),
    ({"LogLevel": "warn"}, None),
]
# Of a parameter with a pattern: what it takes, and what it refuses.
PATTERNS = {
    "PublicUrl": (
        ["", URL, "https://a-b.c1.example"],
        ["http://a.example", URL + "/", URL + ":443", "https://A.example", "https://a", "https://-a.example", "hooks.example.com", "https://a..b"],
    ),
    "CertificateArn": (["", CERTIFICATE, CERTIFICATE.replace("aws:", "aws-cn:")], ["x" + CERTIFICATE, CERTIFICATE.replace("acm", "iam")]),
    "HostedZoneId": (["", ZONE], ["/hostedzone/" + ZONE, "z012"]),
    "AlarmEmail": (["", "a@b.example"], ["a", "a@", "a b@c.example", "a@b@c"]),
    "SecretsKmsKeyArn": (["", "arn:aws:kms:eu-central-1:123456789012:key/a-b"], ["alias/x", "arn:aws:kms:eu-central-1:123456789012:alias/x"]),
}


def rules(document):
    """They refuse what cannot be deployed and nothing else."""
    for given, refused_by in RULES:
        refusals = Conditions(document, given).refusals()
        if refusals != ([refused_by] if refused_by else []):
            yield f"{given} is refused by {refusals} and not by {refused_by}"
    for name, (taken, refused) in PATTERNS.items():
        pattern = document["Parameters"][name]["AllowedPattern"]
        for text in taken:
            if not re.fullmatch(pattern, text):
                yield f"{name} refuses {text!r}"
        for text in refused:
            if re.fullmatch(pattern, text):
                yield f"{name} takes {text!r}"


def domain(document):
    """The custom domain is the host of PublicUrl; without one it is empty, which CloudFormation works out even where the condition is false."""
    index, split = document["Resources"]["CustomDomain"]["Properties"]["DomainName"]["Fn::Select"]
    separator, text = split["Fn::Split"]
    for url, host in (("", ""), (URL, URL.removeprefix("https://"))):
        parts = plain(text).replace("${PublicUrl}", url).split(separator)
        if len(parts) <= int(index) or parts[int(index)] != host:
            yield f"the custom domain of {url!r} is not {host!r}"


def spoil(path, value):
    """A function that sets what stands at a path of a template, or removes it where the value is `None`."""

    def change(document):
        *way, last = path
        for step in way:
            document = document[step]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


def replaced(path, old, new):
    """A function that changes a text of a template, which must hold the old one."""

    def change(document):
        *way, last = path
        for step in way:
            document = document[step]
        assert old in document[last], old
        document[last] = document[last].replace(old, new)

    return change


R, P = "Resources", "Properties"
BODY = (R, "DashboardOfStack", P, "DashboardBody", "Fn::Sub")
# Each check, and copies in which it must find something.
CHECKS = {
    alarms: [
        spoil((R, "RetryErrorsAlarm"), None),
        spoil((R, "VerifyAgeAlarm", P, "MetricName"), "IteratorAges"),
        spoil((R, "VerifyAgeAlarm", P, "Dimensions", 0, "Value"), {"Ref": "InboxTable"}),
        replaced((R, "ServerErrorsAlarm", P, "Metrics", 1, "MetricStat", "Metric", "MetricName"), "5xx", "5XXError"),
        spoil((R, "OldestDueAlarm", P, "Namespace"), "Hookline"),
        spoil((R, "FailedRecordsAlarm", P, "AlarmActions"), []),
        spoil((R, "FanOutThrottlesAlarm", "Condition"), None),
    ],
    metric_filters: [
        spoil((R, "OldestDueMetric", P, "FilterPattern"), '{ ($.message = "tock") && ($.oldest_due >= 0) }'),
        spoil((R, "OldestDueMetric", P, "MetricTransformations", 0, "MetricValue"), "$.oldest"),
        spoil((R, "OldestDueMetric", P, "LogGroupName"), {"Ref": "ManageLogGroup"}),
    ],
    dashboard: [
        replaced(BODY, "{InboxTable}", "{OutboxTable}"),
        replaced(BODY, '"FunctionName", "${RetryFunction}"', '"FunctionName", "${RetryRole}"'),
        replaced(BODY, "by-provider-id", "by-provider"),
        replaced(BODY, '"IteratorAge"', '"IteratorAges"'),
        replaced(BODY, "{FanOutLogGroup}", "{FanOutFunction}"),
        replaced(BODY, "message = 'attempt'", "message = 'attempts'"),
        replaced(BODY, "by outcome, status", "by outcome, answer"),
        replaced(BODY, '"x": 16', '"x": 17'),
        replaced(BODY, '"y": 8,', '"y": 7,'),
        replaced(BODY, "]}}\n", "]}\n"),
    ],
    kept: [
        spoil((R, "SourcesTable", "DeletionPolicy"), "Delete"),
        spoil((R, "SourcesTable", "DeletionPolicy"), "RetainExceptOnCreate"),
        spoil((R, "InboxTable", "DeletionPolicy"), "Retain"),
        spoil((R, "FailedRecordsBucket", "UpdateReplacePolicy"), None),
        spoil((R, "RegistryTable", P, "DeletionProtectionEnabled"), False),
        spoil((R, "SecretsTable", P, "PointInTimeRecoverySpecification"), None),
        spoil((R, "InboxTable", P, "TableName"), "inbox"),
    ],
    optional: [
        spoil(("Parameters", "Dashboard", "Default"), "enabled"),
        spoil(("Parameters", "EmbeddedMetrics", "Default"), "enabled"),
        spoil(("Parameters", "ReceiveReservedConcurrency", "Default"), 5),
        spoil((R, "OldestDueMetric", "Condition"), None),
        spoil(("Conditions", "HasAlarmEmail"), {"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}),
    ],
    parameters: [
        spoil(("Parameters", "ThrottlingRate", "MinValue"), None),
        spoil(("Parameters", "PublicUrl", "Default"), "http://x"),
        spoil(("Parameters", "LogLevel", "Default"), "debug"),
        spoil(("Parameters", "Unheard"), {"Type": "String", "Default": "", "Description": "What.", "AllowedValues": [""]}),
        spoil(("Outputs", "ApiUrl", "Description"), None),
    ],
    rules: [
        spoil(("Rules", "CertificateNeedsPublicUrl"), None),
        spoil(("Rules", "HostedZoneNeedsCertificate", "RuleCondition"), None),
        spoil(("Rules", "OldestDueNeedsLines", "Assertions", 0, "Assert"), {"Fn::Equals": [{"Ref": "LogLevel"}, "warn"]}),
        replaced(("Parameters", "HostedZoneId", "AllowedPattern"), "Z[A-Z0-9]", ".[A-Z0-9]"),
    ],
    domain: [
        spoil((R, "CustomDomain", P, "DomainName", "Fn::Select", 1, "Fn::Split", 1), {"Ref": "PublicUrl"}),
        spoil((R, "CustomDomain", P, "DomainName", "Fn::Select", 0), 2),
    ],
    deployer.problems: [
        spoil((R, "Topic"), {"Type": "AWS::SQS::Queue", "Properties": {}}),
        spoil((R, "ReceiveLogGroup", P, "LogGroupName"), "/receive"),
    ],
}


def main():
    """Runs all checks on the template and on its spoiled copies; ends with 1 where one fails."""
    document = template.load()
    passed = failed = 0
    for check, spoilers in CHECKS.items():
        name = f"{check.__module__}.{check.__name__}".removeprefix("__main__.")
        found = list(check(document))
        for problem in found:
            print(f"  FAILED {name}: {problem}")
        missed = 0
        for number, change in enumerate(spoilers, 1):
            spoiled = copy.deepcopy(document)
            change(spoiled)
            if json.dumps(spoiled) == json.dumps(document) or not list(check(spoiled)):
                missed += 1
                print(f"  FAILED {name}: it finds nothing in spoiled copy {number}")
        if found or missed:
            failed += 1
        else:
            passed += 1
            print(f"  ok {name}, and it finds something in {len(spoilers)} spoiled copies")
    for problem in [*deployer.unfounded(document), *deployer.blind(document)]:
        failed += 1
        print(f"  FAILED {problem}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
