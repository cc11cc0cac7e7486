/** The services' images as they are deployed unless config `images` replaces them. */

export const imageKeys = [
  "pingoo",
  "guardBase",
  "nginx",
  "certbot",
  "tracker",
  "mysql",
  "prometheus",
  "jsonExporter",
  "blackbox",
  "grafana",
  "alertmanager",
  "nodeExporter",
  "restic",
  "python",
] as const;
export type ImageKey = (typeof imageKeys)[number];
export type Images = Readonly<Record<ImageKey, string>>;

/** Pinned by tag and, where its digest is known, by digest: what ran yesterday runs tomorrow. */
export const defaultImages: Images = {
  pingoo: "pingooio/pingoo:0.14.7",
  // What Pingoo and its guard are put together on: only Debian's packages come on top.
  guardBase:
    "debian:bookworm-20260824-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171",
  nginx: "nginx:1.29.5-alpine@sha256:1d13701a5f9f3fb01aaa88cef2344d65b6b5bf6b7d9fa4cf0dca557a8d7702ba",
  certbot: "certbot/certbot:v5.5.0@sha256:78a7eaa40af657301e25731297b6e73646c695370d17e9bb03189fa82966d65c",
  tracker: "torrust/tracker:3.0.0",
  mysql: "mysql:8.4.8@sha256:2952e3be7807f06fc18de50b3ea1a632d5c70d63482ff7d7376fe3aa8999babf",
  prometheus:
    "prom/prometheus:v3.11.2@sha256:5550dc63da361dc30f6fe02ac0e4dfc736ededfef3c8d12a634db04a67824d78",
  jsonExporter: "prometheuscommunity/json-exporter:v0.7.0",
  blackbox:
    "prom/blackbox-exporter:v0.28.0@sha256:e753ff9f3fc458d02cca5eddab5a77e1c175eee484a8925ac7d524f04366c2fc",
  grafana: "grafana/grafana:13.0.1@sha256:0f86bada30d65ef9d0183b90c1e2682ac92d53d95da8bed322b984ea78a4a73a",
  alertmanager:
    "prom/alertmanager:v0.31.1@sha256:88b605de9aba0410775c1eb3438f951115054e0d307f23f274a4c705f51630c1",
  nodeExporter:
    "prom/node-exporter:v1.10.2@sha256:3ac34ce007accad95afed72149e0d2b927b7e42fd1c866149b945b84737c62c3",
  restic: "restic/restic:0.18.1@sha256:39d9072fb5651c80d75c7a811612eb60b4c06b32ffe87c2e9f3c7222e1797e76",
  // Runs scripts of our own, which need nothing but its standard library.
  python: "python:3.13.12-alpine3.23@sha256:bb1f2fdb1065c85468775c9d680dcd344f6442a2d1181ef7916b60a623f11d40",
};
