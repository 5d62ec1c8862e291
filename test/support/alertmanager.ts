import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, freePorts, startDaemon } from "./daemon.ts";
import { ROOT, requireProgram } from "./programs.ts";
import { substitute } from "./template.ts";

/** A running Alertmanager with the toolkit's own configuration, on a free port. */
export interface Alertmanager extends Daemon {
  /** `host:port` */
  readonly target: string;
}

/** Text of the configuration that the committed `render.sh` makes for the given receiver. */
export function renderAlertmanagerConfig(webhookUrl: string): string {
  return execFileSync("sh", [join(ROOT, "observability/alertmanager/render.sh")], {
    encoding: "utf8",
    env: { PATH: process.env.PATH, ALERT_WEBHOOK_URL: webhookUrl },
  });
}

/** Starts Alertmanager for the given receiver; changes of a group are told after one second instead of a minute. */
export async function startAlertmanager(folder: string, webhookUrl: string): Promise<Alertmanager> {
  const [port] = (await freePorts(1)) as [number];
  const config = join(folder, "alertmanager.yml");
  writeFileSync(
    config,
    substitute(renderAlertmanagerConfig(webhookUrl), { "group_interval: 1m": "group_interval: 1s" }),
  );
  const target = `127.0.0.1:${port}`;
  const daemon = await startDaemon({
    command: requireProgram("alertmanager"),
    args: [
      `--config.file=${config}`,
      `--storage.path=${join(folder, "alertmanager-data")}`,
      `--web.listen-address=${target}`,
      "--cluster.listen-address=",
    ],
    readyUrl: `http://${target}/-/ready`,
    cwd: folder,
  });
  return { ...daemon, target };
}
