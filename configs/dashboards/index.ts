import { hostDashboard } from "./host";
import type { Dashboard } from "./panels";
import { tlsDashboard } from "./tls";
import { trackerDashboard, type DashboardsModel } from "./tracker";

export type { DashboardsModel };

/** Every dashboard of the deployment, built by Grafana's own library, which has the types of its JSON model. */
export function renderDashboards(model: DashboardsModel): Dashboard[] {
  return [trackerDashboard(model), tlsDashboard(), hostDashboard()];
}
