import { hostDashboard } from "./host";
import type { Dashboard } from "./panels";
import { tlsDashboard } from "./tls";
import { trackerDashboard } from "./tracker";

/**
 * Every dashboard of the deployment, built by Grafana's own library, which has the types of its JSON model.
 *
 * @param native the tracker has metrics of its own, errors among them; 3.0.0 counts none
 */
export function renderDashboards({ native }: { native: boolean }): Dashboard[] {
  return [trackerDashboard(native), tlsDashboard(), hostDashboard()];
}
