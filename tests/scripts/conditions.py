"""What the conditions and rules of template.yaml come to for given parameters: as much of CloudFormation's functions as stands there."""


class Conditions:
    """A template's conditions and rules, for parameters that are given and the defaults of the others."""

    def __init__(self, document, given=None):
        self.document = document
        self.parameters = {name: p.get("Default") for name, p in document["Parameters"].items()} | (given or {})

    def holds(self, condition):
        """Whether a condition, by its name or as a function, holds."""
        if isinstance(condition, str):
            return self.holds(self.document["Conditions"][condition])
        ((function, arguments),) = condition.items()
        match function:
            case "Condition":
                return self.holds(arguments)
            case "Fn::Equals":
                left, right = map(self.value, arguments)
                return left == right
            case "Fn::Not":
                return not self.holds(arguments[0])
            case "Fn::And":
                return all(map(self.holds, arguments))
            case "Fn::Or":
                return any(map(self.holds, arguments))
        raise ValueError(f"no condition: {function}")

    def value(self, value):
        """A parameter's value, or what stands there; CloudFormation compares texts."""
        return str(self.parameters[value["Ref"]]) if isinstance(value, dict) else str(value)

    def resolve(self, value):
        """What stands there, after its `Fn::If`."""
        if isinstance(value, dict) and "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            return self.resolve(then if self.holds(condition) else otherwise)
        return value

    def refusals(self):
        """The names of the rules that refuse the parameters."""
        return [
            name
            for name, rule in self.document.get("Rules", {}).items()
            if self.holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
            and not all(self.holds(a["Assert"]) for a in rule["Assertions"])
        ]
