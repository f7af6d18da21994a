"""Holds the policies of docs/deploy, the rights of who deploys the stack, against what CloudFormation's own schemas say that each type of
resource needs. (cfn-lint carries those schemas; HOOKLINE_CLOUDFORMATION_SCHEMAS is the folder.)"""

import fnmatch
import json
import logging
import os
import pathlib

import template
from samtranslator.translator.transform import transform

POLICIES = [template.ROOT / "docs/deploy" / name for name in ("deployer-policy.json", "deployer-policy-options.json")]
# The longest managed policy, without its white space.
LONGEST = 6144
# For what the template does not use: the schemas name the rights for all that a type of resource can do.
NOT_NEEDED = {
    # Replicas and global tables, imports, Kinesis, contributor insights, resource policies.
    "AWS::DynamoDB::Table": "kinesis:* logs:* s3:* dynamodb:*Import* dynamodb:*Replica dynamodb:*Kinesis* dynamodb:UpdateContributorInsights "
    "dynamodb:*ResourcePolicy dynamodb:Scan dynamodb:Query dynamodb:*Item iam:CreateServiceLinkedRole "
    # Of a key of one's own; the key that AWS manages lets whoever may use DynamoDB.
    "kms:Decrypt kms:Encrypt kms:ListAliases kms:RevokeGrant",
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


def allowed():
    """All patterns of actions that the policies allow."""
    statements = [s for policy in POLICIES for s in json.loads(policy.read_text())["Statement"]]
    return [a for s in statements for a in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])]


def fits(action, patterns):
    """Whether one of the patterns is about the action; IAM knows no difference between small letters and capitals."""
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def kinds(document):
    """The types of resources that a deployment makes."""
    return sorted({r["Type"] for r in transformed(document)["Resources"].values()})


def problems(document):
    """What a deployment needs and the policies do not allow."""
    patterns = allowed()
    for kind in kinds(document):
        for action in sorted(needed(kind)):
            if not fits(action, patterns) and not fits(action, NOT_NEEDED.get(kind, "").split()):
                yield f"{kind} needs {action}, which docs/deploy/deployer-policy.json does not allow"


def unfounded(document):
    """Rules of this file that are about nothing, and policies that are too long."""
    for kind, patterns in NOT_NEEDED.items():
        for pattern in patterns.split():
            if not any(fits(action, [pattern]) for action in needed(kind)):
                yield f"{kind}: nothing that its schema names is like {pattern}"
    for kind in NOT_NEEDED.keys() - set(kinds(document)):
        yield f"{kind} is not in the template"
    for policy in POLICIES:
        if len("".join(policy.read_text().split())) > LONGEST:
            yield f"{policy.name} is too long for a managed policy"
