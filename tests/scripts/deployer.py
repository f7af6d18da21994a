"""Holds the policies of docs/deploy, the rights of who deploys the stack, against what CloudFormation's own schemas say that each type of
resource needs, under the names that CloudFormation gives; and the rights of who restores against what docs/DEPLOY.md has him do. (cfn-lint carries
those schemas; HOOKLINE_CLOUDFORMATION_SCHEMAS is the folder.)"""

import fnmatch
import json
import logging
import os
import pathlib

import template
from samtranslator.translator.transform import transform

DEPLOYER = ("deployer-policy.json", "deployer-policy-options.json")
RESTORER = ("restorer-policy.json",)
# The longest managed policy, without its white space.
LONGEST = 6144
# For what the template does not use: the schemas name the rights for all that a type of resource can do.
NOT_NEEDED = {
    # Replicas and global tables, imports, Kinesis, contributor insights, resource policies.
    "AWS::DynamoDB::Table": "kinesis:* logs:* s3:* dynamodb:*Import* dynamodb:*Replica dynamodb:*Kinesis* dynamodb:UpdateContributorInsights "
    "dynamodb:*ResourcePolicy dynamodb:Scan dynamodb:Query dynamodb:*Item iam:CreateServiceLinkedRole "
    # Of keys by other names, and of grants that end by themselves.
    "kms:ListAliases kms:RevokeGrant",
    # What a bucket of failed records has no configuration of.
    "AWS::S3::Bucket": "s3tables:* iam:PassRole s3:*Analytics* s3:*CORS s3:*Cors s3:*Inventory* s3:*Metrics* s3:*Notification s3:*Replication "
    "s3:*Website s3:PutAccelerate* s3:PutReplication* s3:*ObjectLock* s3:*Tiering* s3:*MetadataT* s3:*MetadataI* s3:*MetadataJ* s3:*MetadataA* "
    "s3:*Logging s3:*Abac s3:PutObjectAcl s3:*Acl s3:DeleteObject s3:*TagResource s3:ListTagsForResource "
    "s3:DeleteBucketEncryption s3:DeleteBucketLifecycle s3:UntagResource",
    # VPC, file systems, code signing, layers, capacity providers, keys of one's own.
    "AWS::Lambda::Function": "ec2:* elasticfilesystem:* s3files:* kms:* lambda:*CodeSigning* lambda:GetLayerVersion lambda:*Capacity* "
    "lambda:PutFunctionScalingConfig lambda:AssociateRuntimeAlias lambda:PublishVersion",
    "AWS::Lambda::EventSourceMapping": "kms:*",
    "AWS::IAM::Role": "iam:*PermissionsBoundary",
    "AWS::IAM::ManagedPolicy": "iam:*GroupPolicy iam:*UserPolicy",
    # Data protection, keys, other destinations, index policies.
    "AWS::Logs::LogGroup": "s3:* firehose:* logs:*KmsKey logs:PutDataProtectionPolicy logs:DeleteDataProtectionPolicy logs:PutIndexPolicy "
    "logs:DeleteIndexPolicy logs:PutBearerTokenAuthentication logs:PutLogGroupDeletionProtection logs:DeleteResourcePolicy",
    # A definition or a trust store in S3.
    "AWS::ApiGatewayV2::Api": "s3:*",
    "AWS::ApiGatewayV2::DomainName": "s3:*",
    # Delivery to other services than e-mail.
    "AWS::SNS::Topic": "iam:* sns:PutDataProtectionPolicy",
    "AWS::SNS::Subscription": "iam:*",
}


def transformed(document):
    """The template as CloudFormation gets it from SAM's transformation."""

    class NoManagedPolicies:
        def load(self):
            return {}

    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    # It would tell of metrics of its own, which nobody takes.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    document = json.loads(json.dumps(document))
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    defaults = {name: p["Default"] for name, p in document["Parameters"].items()}
    return transform(document, defaults, NoManagedPolicies())


def needed(kind):
    """The actions that CloudFormation's schema names for a type of resource, but for those of its lists."""
    schemas = pathlib.Path(os.environ["HOOKLINE_CLOUDFORMATION_SCHEMAS"])
    index = json.loads((schemas / "providers/eu-central-1.json").read_text())
    handlers = json.loads((schemas / "resources" / f"{index[kind]}.json").read_text()).get("handlers", {})
    return {action for use, handler in handlers.items() if use != "list" for action in handler.get("permissions", [])}


# What the policies are for: a stack of the template's own name, and another one.
STACKS = ("hookline", "hookline-test")
ACCOUNT = "eu-central-1:123456789012"
# What CloudFormation calls a resource that has no name of its own: the stack, the resource, and something random.
GENERATED = {
    "AWS::ApiGatewayV2::Api": "arn:aws:apigateway:eu-central-1::/apis/a1b2c3d4e5",
    "AWS::ApiGatewayV2::ApiMapping": "arn:aws:apigateway:eu-central-1::/domainnames/hooks.example.com/apimappings/a1b2c3",
    "AWS::ApiGatewayV2::DomainName": "arn:aws:apigateway:eu-central-1::/domainnames/hooks.example.com",
    "AWS::ApiGatewayV2::Stage": "arn:aws:apigateway:eu-central-1::/apis/a1b2c3d4e5/stages/$default",
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:{account}:alarm:{stack}-{name}-A1B2C3D4E5F6",
    "AWS::CloudWatch::Dashboard": "arn:aws:cloudwatch::123456789012:dashboard/{own}",
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{account}:table/{stack}-{name}-A1B2C3D4E5F6",
    "AWS::IAM::ManagedPolicy": "arn:aws:iam::123456789012:policy/{stack}-{name}-A1B2C3D4E5F6",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{stack}-{name}-A1B2C3D4E5F6",
    "AWS::Lambda::EventInvokeConfig": "arn:aws:lambda:{account}:function:{stack}-RetryFunction-a1B2c3D4e5F6",
    "AWS::Lambda::EventSourceMapping": "arn:aws:lambda:{account}:event-source-mapping:0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
    "AWS::Lambda::Function": "arn:aws:lambda:{account}:function:{stack}-{name}-a1B2c3D4e5F6",
    "AWS::Lambda::Permission": "arn:aws:lambda:{account}:function:{stack}-ReceiveFunction-a1B2c3D4e5F6",
    "AWS::Logs::LogGroup": "arn:aws:logs:{account}:log-group:{own}",
    "AWS::Logs::MetricFilter": "arn:aws:logs:{account}:log-group:/aws/lambda/{stack}-retry",
    "AWS::Route53::RecordSet": "arn:aws:route53:::hostedzone/Z0123456789",
    "AWS::S3::Bucket": "arn:aws:s3:::{stack}-{bucket}-a1b2c3d4e5f6",
    "AWS::S3::BucketPolicy": "arn:aws:s3:::{stack}-failedrecordsbucket-a1b2c3d4e5f6",
    "AWS::SNS::Subscription": "arn:aws:sns:{account}:{stack}-AlarmTopic-A1B2C3D4E5F6:0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
    "AWS::SNS::Topic": "arn:aws:sns:{account}:{stack}-{name}-A1B2C3D4E5F6",
    "AWS::SNS::TopicPolicy": "arn:aws:sns:{account}:{stack}-AlarmTopic-A1B2C3D4E5F6",
    "AWS::Scheduler::Schedule": "arn:aws:scheduler:{account}:schedule/default/{stack}-{name}-A1B2C3D4E5F6",
}
# The property that names a resource all the same.
NAMED_BY = {"AWS::CloudWatch::Dashboard": "DashboardName", "AWS::Logs::LogGroup": "LogGroupName"}
TABLE, BUCKET = "arn:aws:dynamodb:{account}:table/{stack}-EventsTable-A1B2C3D4E5F6", "arn:aws:s3:::{stack}-failedrecordsbucket-a1b2c3d4e5f6"
RESTORED = "arn:aws:dynamodb:{account}:table/hookline-restored-events"
FUNCTION = "arn:aws:lambda:{account}:function:{stack}-RetryFunction-a1B2c3D4e5F6"
STACK = "arn:aws:cloudformation:{account}:stack/{stack}/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
ANY = "arn:aws:*"
# What else docs/DEPLOY.md has somebody do, and on what: with SAM and the stack, and when the stack is not there any more.
DEPLOYS = [
    ("cloudformation:CreateChangeSet", STACK),
    ("cloudformation:DescribeStackResource", STACK),
    ("cloudformation:SetStackPolicy", STACK),
    # `sam delete` looks for the stack in which it would keep images.
    ("cloudformation:DescribeStacks", "arn:aws:cloudformation:{account}:stack/hookline-0a1b2c3d-CompanionStack/0a1b2c3d"),
    ("cloudformation:UpdateTerminationProtection", STACK),
    ("dynamodb:ListTables", ANY),
    ("lambda:UpdateFunctionCode", FUNCTION),
    ("lambda:PutFunctionConcurrency", FUNCTION),
    ("lambda:DeleteFunctionConcurrency", FUNCTION),
    ("lambda:UpdateFunctionConfiguration", FUNCTION),
    ("lambda:ListEventSourceMappings", ANY),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/{stack}-RetryFunctionTickRole-A1B2C3D4E5F6"),
    ("s3:PutObject", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-a1b2c3d4e5f6/hookline/0a1b"),
]
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_beforeyoubegin.html: restoring writes as who restores.
RESTORES = [
    *((f"dynamodb:{action}", TABLE) for action in ("DescribeTable", "RestoreTableToPointInTime", "Scan", "GetItem", "PutItem")),
    *((f"dynamodb:{action}", RESTORED) for action in ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")),
    *((f"dynamodb:{action}", RESTORED) for action in ("DescribeTable", "DeleteTable", "RestoreTableToPointInTime", "RestoreTableFromBackup")),
    ("dynamodb:RestoreTableFromBackup", TABLE + "/backup/01234567890123-0a1b2c3d"),
    *((action, ANY) for action in ("dynamodb:ListBackups", "dynamodb:ListTables", "s3:ListAllMyBuckets")),
    *((f"s3:{action}", BUCKET + "/a") for action in ("GetObject", "PutObject")),
    ("s3:ListBucket", BUCKET),
    *((f"lambda:{action}", FUNCTION) for action in ("PutFunctionConcurrency", "DeleteFunctionConcurrency", "UpdateFunctionConfiguration")),
    ("lambda:InvokeFunction", FUNCTION.replace("RetryFunction", "OperateFunction")),
    ("cloudformation:DescribeStacks", STACK),
    ("cloudformation:DescribeStackResource", STACK),
    ("cloudwatch:GetMetricStatistics", ANY),
    *((f"kms:{action}", "arn:aws:kms:{account}:key/a-b") for action in ("Encrypt", "Decrypt", "ReEncryptTo", "GenerateDataKey", "CreateGrant")),
]
# What must not be allowed: the items of live tables to who deploys; to delete or change what is live to who restores.
REFUSED = [
    (DEPLOYER, "dynamodb:GetItem", TABLE),
    (DEPLOYER, "s3:GetObject", BUCKET + "/a"),
    (DEPLOYER, "lambda:UpdateFunctionCode", "arn:aws:lambda:{account}:function:another"),
    (RESTORER, "dynamodb:DeleteTable", TABLE),
    (RESTORER, "dynamodb:UpdateItem", TABLE),
]
# What is changed in a copy of a policy, so that something is missing, or there is too much.
SPOILED = [
    ("deployer-policy.json", "stack/hookline-*/*", "stack/hookline-test/*"),
    ("deployer-policy.json", "table/hookline-*", "table/hookline/*"),
    ("deployer-policy.json", "log-group:/aws/vendedlogs/hookline/*", "log-group:/aws/vendedlogs/hookline"),
    ("deployer-policy.json", "lambda:PutFunctionConcurrency", "lambda:PutFunction"),
    ("deployer-policy.json", "arn:aws:lambda:*:*:function:hookline-*", "*"),
    ("deployer-policy-options.json", "dashboard/hookline-*", "dashboard/other-*"),
    ("deployer-policy-options.json", "alarm:hookline-*", "alarm:hookline"),
    ("deployer-policy-options.json", "alarm:*", "alarm:other"),
    ("restorer-policy.json", "table/hookline-restored-*", "table/hookline-*"),
    ("restorer-policy.json", "dynamodb:RestoreTableFromBackup", "dynamodb:RestoreTable"),
    ("restorer-policy.json", "dynamodb:BatchWriteItem", "dynamodb:BatchGetItem"),
]


def read():
    """The policies as they stand there."""
    return {name: (template.ROOT / "docs/deploy" / name).read_text() for name in DEPLOYER + RESTORER}


def listed(value):
    """IAM takes one text for a list of one."""
    return value if isinstance(value, list) else [value]


def fits(text, patterns):
    """Whether one of the patterns is about it; of actions IAM knows no difference between small letters and capitals."""
    return any(fnmatch.fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def is_allowed(policies, names, action, arn):
    """Whether one of the named policies allows the action on what has the ARN. (Conditions are taken to hold.)"""
    statements = [s for name in names for s in json.loads(policies[name])["Statement"]]
    return any(
        fits(action, listed(s["Action"])) and any(fnmatch.fnmatchcase(arn, pattern) for pattern in listed(s["Resource"])) for s in statements
    )


def arn(pattern, stack, **more):
    """A sample for one stack."""
    return pattern.format(account=ACCOUNT, stack=stack, **more)


def samples(document, stack):
    """Of each resource that a deployment makes: its name in the template, its type and the ARN that it would have."""
    for name, resource in transformed(document)["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        own = properties.get(NAMED_BY.get(kind), "")
        text = own.get("Fn::Sub") or "${" + own["Ref"] + "}" if isinstance(own, dict) else own
        if kind in GENERATED:
            own = text.replace("${AWS::StackName}", stack)
            yield name, kind, arn(GENERATED[kind], stack, name=name, own=own, bucket=name.lower())


def kinds(document):
    """The types of resources that a deployment makes."""
    return sorted({r["Type"] for r in transformed(document)["Resources"].values()})


def problems(document):
    """What a deployment needs and the policies do not allow."""
    return missing(document, read())


def missing(document, policies):
    """What is needed and not allowed, on the resource itself where the right is about its own kind; and what is allowed and must not be."""
    for kind in kinds(document):
        if kind not in GENERATED:
            yield f"{kind}: tests/scripts/deployer.py does not know what its resources are called"
    needs = {kind: sorted(a for a in needed(kind) if not fits(a, NOT_NEEDED.get(kind, "").split())) for kind in kinds(document)}
    patterns = [a for name in DEPLOYER for s in json.loads(policies[name])["Statement"] for a in listed(s["Action"])]
    for kind, actions in needs.items():
        for action in actions:
            if not fits(action, patterns):
                yield f"{kind} needs {action}, which docs/deploy/deployer-policy.json does not allow"
    for stack in STACKS:
        for name, kind, target in samples(document, stack):
            for action in needs[kind]:
                if action.partition(":")[0] == target.split(":")[2] and not is_allowed(policies, DEPLOYER, action, target):
                    yield f"{name} needs {action}, which docs/deploy/deployer-policy.json does not allow on {target}"
        for names, wanted in ((DEPLOYER, DEPLOYS), (RESTORER, RESTORES)):
            for action, pattern in wanted:
                if not is_allowed(policies, names, action, arn(pattern, stack)):
                    yield f"docs/deploy/{names[0]} does not allow {action} on {arn(pattern, stack)}"
        for names, action, pattern in REFUSED:
            if is_allowed(policies, names, action, arn(pattern, stack)):
                yield f"docs/deploy/{names[0]} allows {action} on {arn(pattern, stack)}"


def blind(document):
    """Spoiled copies of the policies in which nothing is found."""
    for name, old, new in SPOILED:
        policies = read()
        quoted = policies[name].replace(old + '"', new + '"')
        if quoted == policies[name] or not list(missing(document, policies | {name: quoted})):
            yield f"deployer.missing finds nothing where docs/deploy/{name} has {new} in the place of {old}"


def unfounded(document):
    """Rules of this file that are about nothing, and policies that are too long."""
    for kind, patterns in NOT_NEEDED.items():
        for pattern in patterns.split():
            if not any(fits(action, [pattern]) for action in needed(kind)):
                yield f"{kind}: nothing that its schema names is like {pattern}"
    for kind in (NOT_NEEDED.keys() | GENERATED.keys()) - set(kinds(document)):
        yield f"{kind} is not in the template"
    for name, text in read().items():
        if len("".join(text.split())) > LONGEST:
            yield f"{name} is too long for a managed policy"
