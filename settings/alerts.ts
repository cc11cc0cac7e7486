import { z } from "zod";

import type { AlertReceivers, ReceiverKind } from "../configs/alertmanager";

/**
 * What the key `alertReceivers` may hold. Its messages never repeat a value: whatever is wrong here may be a secret that
 * was pasted into the wrong place.
 */

const printable = /^[\x21-\x7e]+$/;

const url = z
  .string({ error: "is missing or no text. Write an https URL." })
  .refine((text) => printable.test(text) && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
    error: "is no URL (it is not repeated here, it may be secret). Write one that begins with https://.",
  })
  .refine((text) => !text.includes("{{"), {
    error: "holds {{, which Alertmanager takes for a template. Write %7B%7B.",
  });

const secret = z
  .string({ error: "is missing or no text." })
  .refine((text) => printable.test(text) && text.length <= 1024, {
    error: "must have 1 to 1024 printable ASCII characters without spaces (it is not repeated here).",
  });

/** SMTP passwords may hold what a user typed. */
const password = z
  .string({ error: "is no text. Write it in quotes." })
  // eslint-disable-next-line no-control-regex
  .refine((text) => /^[^\x00-\x1f\x7f]{1,256}$/.test(text) && text.trim() === text, {
    error:
      "must have 1 to 256 characters, none of them a control character and no space at either end (it is not repeated here).",
  });

const addressPattern = /^[\w.+-]+@[a-z0-9-]+(\.[a-z0-9-]+)*$/i;

const address = z
  .string({ error: "is missing or no text. Write an e-mail address such as alerts@example.org." })
  .refine((text) => text.length <= 254 && addressPattern.test(text), {
    error: "is no e-mail address. Write one such as alerts@example.org.",
  });

const addresses = z
  .string({ error: "is missing or no text. Write an e-mail address such as admin@example.org." })
  .refine((text) => text.split(",").every((one) => addressPattern.test(one.trim())), {
    error: "is no e-mail address. Write one such as admin@example.org, or several with commas between them.",
  });

const mailServer = z
  .string({ error: "is missing or no text. Write host:port, such as smtp.example.org:587." })
  .refine(
    (text) =>
      /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?:\d{1,5}$/i.test(text) && isPort(text.slice(text.lastIndexOf(":") + 1)),
    {
      error: "is not host:port. Write one such as smtp.example.org:587.",
    },
  );

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65535;
}

const text = z
  .string({ error: "is no text." })
  .regex(/^[\x20-\x7e]{1,256}$/, { error: "must have 1 to 256 printable ASCII characters." });

const onOff = z.union([z.boolean(), z.enum(["true", "false"]).transform((value) => value === "true")], {
  error: "is neither true nor false.",
});

const chatId = z
  .union(
    [
      z.int(),
      z
        .string()
        .regex(/^-?\d{1,16}$/)
        .transform(Number),
    ],
    {
      error: "is no chat's number. Write one such as -1001234567890; Telegram's getUpdates tells it.",
    },
  )
  .refine((id) => id !== 0, { error: "is no chat's number. Write one such as -1001234567890." });

const notAnObject =
  "is no object. Write its keys, e.g. pulumi config set --secret --path alertReceivers.ntfy.url https://ntfy.sh/<topic>";

function receiver<const T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, { error: notAnObject });
}

const email = receiver({
  to: addresses,
  from: address,
  smtp: mailServer,
  username: text.optional(),
  password: password.optional(),
  tls: onOff.default(true),
}).superRefine(({ username, password: given }, context) => {
  const missing = username === undefined ? "username" : "password";
  if ((username === undefined) !== (given === undefined))
    context.addIssue({
      code: "custom",
      path: [missing],
      message: `is missing. Username and password go together; a server that wants neither gets neither.`,
    });
});

const kinds = {
  webhook: receiver({ url, token: secret.optional() }),
  ntfy: receiver({ url, token: secret.optional() }),
  email,
  slack: receiver({ url, channel: text.optional() }),
  discord: receiver({ url }),
  telegram: receiver({ token: secret, chatId }),
  heartbeat: receiver({ url }),
} satisfies Record<ReceiverKind, z.ZodType>;

const receivers = receiver({
  webhook: kinds.webhook.optional(),
  ntfy: kinds.ntfy.optional(),
  email: kinds.email.optional(),
  slack: kinds.slack.optional(),
  discord: kinds.discord.optional(),
  telegram: kinds.telegram.optional(),
  heartbeat: kinds.heartbeat.optional(),
});

/** The whole key, as the engine hands it over: JSON. */
export const alertReceivers = z
  .string()
  .transform((json, context): unknown => {
    try {
      return JSON.parse(json);
    } catch {
      context.addIssue({ code: "custom", message: notAnObject });
      return z.NEVER;
    }
  })
  .pipe(receivers)
  .transform((parsed): AlertReceivers<string> => parsed);

/** The keys that are known at a path within `alertReceivers`. */
export function knownReceiverKeys(path: readonly PropertyKey[]): readonly string[] {
  const kind = path[0];
  return typeof kind === "string" && kind in kinds
    ? Object.keys(kinds[kind as ReceiverKind].shape)
    : Object.keys(kinds);
}
