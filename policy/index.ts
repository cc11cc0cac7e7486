import { PolicyPack } from "@pulumi/policy";

import { rules } from "./rules";

/** `pulumi up --policy-pack policy` refuses what breaks a mandatory rule, before anything is created. */
new PolicyPack("torrust-pingoo", {
  policies: rules.map(({ name, description, level, check }) => ({
    name,
    description,
    enforcementLevel: level,
    validateResource: ({ type, props, opts }, report) => {
      for (const violation of check({ type, props, protect: opts.protect })) report(violation);
    },
  })),
});
