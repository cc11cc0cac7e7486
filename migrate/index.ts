/** Takes over what another deployment left: certificates, and the configuration of torrust-tracker-deployer. */

export { convertEnvironment, type Converted, type ConvertOptions } from "./deployer";
export { destinationOf, type Destination } from "./destination";
export { fetchLineages, migrateCertificates, type Migrated, type MigrateOptions } from "./move";
