import { renderYaml } from "./yaml";

/**
 * Who is told of alerts, each by what Alertmanager speaks itself. Absent receivers are absent.
 *
 * @template S how a secret is given: as a value, or merely as being there
 */
export interface AlertReceivers<S> {
  /** Alertmanager's own JSON, by POST. */
  readonly webhook?: { readonly url: S; readonly token?: S };
  readonly ntfy?: { readonly url: S; readonly token?: S };
  readonly email?: {
    readonly to: string;
    readonly from: string;
    /** `host:port` of the mail server. */
    readonly smtp: string;
    readonly username?: string;
    readonly password?: S;
    /** The connection must be encrypted, by STARTTLS or on port 465. */
    readonly tls: boolean;
  };
  readonly slack?: { readonly url: S; readonly channel?: string };
  readonly discord?: { readonly url: S };
  readonly telegram?: { readonly token: S; readonly chatId: number };
  /** Called again and again while alerting works: whoever is called tells of its silence. */
  readonly heartbeat?: { readonly url: S };
}

export type ReceiverKind = keyof AlertReceivers<unknown>;

export interface AlertmanagerModel {
  readonly receivers: AlertReceivers<unknown>;
  /** Seconds that alerts of a kind are collected before the next notification about that kind. */
  readonly delay: number;
  /** Seconds between two of Prometheus' looks at anything. */
  readonly scrapeInterval: number;
}

/** Name of the alert that always fires; it goes to the heartbeat alone. */
export const watchdog = "Watchdog";

/** Name of the alert that `npm run alert:test` sends. */
export const testAlert = "TestAlert";

/** Folder in the container with a file for each secret. */
export const secretFolder = "/etc/alertmanager/secrets";

/** Folder in the container with the texts of notifications. */
export const templateFolder = "/etc/alertmanager/templates";

/** Seconds: until an alert that nobody resolved is told again, and between two heartbeats. */
const reminderInterval = 4 * 3600;
const heartbeatInterval = 60;

const secretKeys = ["url", "token", "password"] as const;

/** Every secret among the receivers with the file that Alertmanager reads it from. */
export function secretFiles<S>(
  receivers: AlertReceivers<S>,
): { readonly path: string; readonly secret: S }[] {
  return Object.entries(receivers).flatMap(([kind, settings]) =>
    secretKeys.flatMap((key) => {
      const secret = (settings as Partial<Record<string, S>> | undefined)?.[key];
      return secret === undefined ? [] : [{ path: secretPath(kind, key), secret }];
    }),
  );
}

function secretPath(kind: string, key: (typeof secretKeys)[number]): string {
  return `${secretFolder}/${kind}-${key}`;
}

/**
 * Renders alertmanager.yml (https://prometheus.io/docs/alerting/latest/configuration/). It holds no secret: those are in
 * files of their own, so that neither this file nor Alertmanager's API shows them.
 */
export function renderAlertmanagerConfig({ receivers, delay, scrapeInterval }: AlertmanagerModel): string {
  const { heartbeat } = receivers;
  const told = integrations(receivers);
  // Each of them, and after it the next.
  const toAll = told.map(({ name }) => ({ receiver: name, continue: true }));
  return renderYaml({
    templates: [`${templateFolder}/*.tmpl`],
    route: {
      receiver: "nobody",
      // One notification for each kind of fault, however many endpoints or targets it hits.
      group_by: ["alertname"],
      // A fault may be seen later than what follows from it, which it hides only if it is there when that is told.
      group_wait: `${Math.max(Math.ceil(delay / 10), 3 * scrapeInterval)}s`,
      group_interval: `${delay}s`,
      repeat_interval: `${reminderInterval}s`,
      routes: [
        {
          matchers: [`alertname = ${watchdog}`],
          receiver: heartbeat ? "heartbeat" : "nobody",
          group_wait: "0s",
          group_interval: `${heartbeatInterval}s`,
          // A little less, or every other one would come a moment too early to count as due.
          repeat_interval: `${heartbeatInterval - 10}s`,
        },
        {
          matchers: [`alertname = ${testAlert}`],
          group_by: ["..."],
          group_wait: "0s",
          group_interval: "5s",
          routes: toAll,
        },
        ...toAll,
      ],
    },
    inhibit_rules: inhibitions,
    receivers: [
      { name: "nobody" },
      ...told,
      ...(heartbeat
        ? [
            {
              name: "heartbeat",
              webhook_configs: [{ url_file: secretPath("heartbeat", "url"), send_resolved: false }],
            },
          ]
        : []),
    ],
  });
}

/** A fault hides what follows from it. */
const inhibitions = [
  {
    source_matchers: ["alertname = TrackerDown"],
    target_matchers: [
      "alertname =~ UdpTrackerDown|TrackerWithoutAnnounces|EndpointDown",
      "service != grafana",
    ],
  },
  {
    source_matchers: ["alertname = TrackerDown"],
    target_matchers: ["alertname = TargetDown", "job = tracker"],
  },
  // Without its exporter nothing is known of the host; without its probes nothing of an endpoint.
  {
    source_matchers: ["alertname = EndpointDown"],
    target_matchers: ["alertname = CertificateUntrusted"],
    equal: ["instance"],
  },
  {
    source_matchers: ["alertname = CertificateSelfSigned"],
    target_matchers: ["alertname = CertificateUntrusted"],
    equal: ["instance"],
  },
  {
    source_matchers: ["alertname = CertificateExpiring"],
    target_matchers: ["alertname = CertificateRenewalOverdue"],
    equal: ["instance"],
  },
  {
    source_matchers: ["alertname = DiskAlmostFull"],
    target_matchers: ["alertname = DiskFilling"],
    equal: ["device"],
  },
  { source_matchers: ["alertname = CertbotStalled"], target_matchers: ["alertname = CertbotFailing"] },
];

/** Alertmanager's receivers, each named after its kind. */
function integrations({ webhook, ntfy, email, slack, discord, telegram }: AlertReceivers<unknown>) {
  const title = '{{ template "torrust.title" . }}';
  const text = '{{ template "torrust.text" . }}';
  const configs: Partial<Record<ReceiverKind, object>> = {
    ...(webhook && { webhook: { webhook_configs: [httpPost("webhook", webhook)] } }),
    ...(ntfy && { ntfy: { webhook_configs: [httpPost("ntfy", ntfy)] } }),
    ...(email && {
      email: {
        email_configs: [
          {
            send_resolved: true,
            to: email.to,
            from: email.from,
            smarthost: email.smtp,
            require_tls: email.tls,
            ...(email.username !== undefined && { auth_username: email.username }),
            ...(email.password !== undefined && { auth_password_file: secretPath("email", "password") }),
            headers: { Subject: title },
            html: "",
            text,
          },
        ],
      },
    }),
    ...(slack && {
      slack: {
        slack_configs: [
          {
            send_resolved: true,
            api_url_file: secretPath("slack", "url"),
            ...(slack.channel !== undefined && { channel: slack.channel }),
            title,
            title_link: "",
            text,
          },
        ],
      },
    }),
    ...(discord && {
      discord: {
        discord_configs: [
          { send_resolved: true, webhook_url_file: secretPath("discord", "url"), title, message: text },
        ],
      },
    }),
    ...(telegram && {
      telegram: {
        telegram_configs: [
          {
            send_resolved: true,
            bot_token_file: secretPath("telegram", "token"),
            chat_id: telegram.chatId,
            // Plain text: nothing in it has to be escaped.
            parse_mode: "",
            message: `${title}\n\n${text}`,
          },
        ],
      },
    }),
  };
  return Object.entries(configs).map(([name, config]) => ({ name, ...config }));
}

function httpPost(kind: "webhook" | "ntfy", { token }: { readonly token?: unknown }) {
  return {
    send_resolved: true,
    url_file: secretPath(kind, "url"),
    ...(token !== undefined && {
      http_config: { authorization: { credentials_file: secretPath(kind, "token") } },
    }),
  };
}

/**
 * Renders the texts of notifications: title `[FIRING] summary`, then for each alert what it means and where to read on.
 *
 * @param stack which deployment speaks, e.g. `torrust-pingoo-production`
 */
export function renderAlertTemplates(stack: string): string {
  return `{{ define "torrust.title" -}}
[{{ .Status | toUpper }}] {{ with index .Alerts 0 }}{{ .Annotations.summary }}{{ end }}
{{- if gt (len .Alerts) 1 }} (and {{ len (slice .Alerts 1) }} more){{ end }} - ${stack}
{{- end }}

{{ define "torrust.text" -}}
{{ range .Alerts -}}
{{ .Labels.severity }}: {{ .Annotations.summary }}
{{ .Annotations.description }}
{{ if eq .Status "resolved" }}Over since {{ .EndsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}.
{{ else }}What to do: {{ with .Annotations.runbook_url }}{{ . }}{{ else }}docs/runbooks/{{ .Labels.alertname }}.md{{ end }}
{{ end }}
{{ end }}
{{- end }}
`;
}
