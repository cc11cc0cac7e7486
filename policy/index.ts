import {
  PolicyPack,
  type PolicyResource,
  type ReportViolation,
  type ResourceValidationArgs,
  type StackValidationArgs,
} from "@pulumi/policy";

import { advice, rules, type Checked } from "./rules";

/** `pulumi up --policy-pack policy` refuses what breaks a rule, before anything is created, and tells its advice. */
new PolicyPack("torrust-pingoo", {
  policies: [
    ...rules.map(({ name, description, check }) => ({
      name,
      description,
      enforcementLevel: "mandatory" as const,
      validateResource: (resource: ResourceValidationArgs, report: ReportViolation) => {
        for (const violation of check(checked(resource))) report(violation);
      },
    })),
    ...advice.map(({ name, description, check }) => ({
      name,
      description,
      enforcementLevel: "advisory" as const,
      validateStack: ({ resources }: StackValidationArgs, report: ReportViolation) => {
        for (const violation of check(resources.map(checked))) report(violation);
      },
    })),
  ],
});

function checked({ type, props, opts }: ResourceValidationArgs | PolicyResource): Checked {
  return { type, props, protect: opts.protect };
}
