import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { freePorts } from "./daemon.ts";
import { poll } from "./poll.ts";

const INSTALL = "run test/install-postgres.sh";

/** For the `skip` option of a test: what is missing, or false. With BREAKWATER_REQUIRE_ALL=1 the test runs and fails. */
export function skipWithoutPostgres(): string | false {
  if (process.env.BREAKWATER_REQUIRE_ALL === "1" || findBinaries() !== undefined) return false;
  return `missing: postgresql; ${INSTALL}`;
}

/** A PostgreSQL server of the test's own, on a free port of 127.0.0.1. */
export interface PostgresServer {
  readonly port: number;
  /** Makes an empty database and returns its URL, with a password. */
  readonly newDatabase: () => Promise<string>;
  /** Ends it as an administrator would, not waiting for clients; a second time does nothing. */
  readonly stop: () => Promise<void>;
  /** Starts it again, with the same data and on the same port. */
  readonly start: () => Promise<void>;
  /** Stops it and removes its files. */
  readonly remove: () => Promise<void>;
}

const USER = "keeper";
const PASSWORD = "pg-password-of-a-test";

/** Starts a server without a flush to disk, which the tests could only wait for. With `tls` it offers that too. */
export async function startPostgres({ tls = false }: { tls?: boolean } = {}): Promise<PostgresServer> {
  const bin = findBinaries();
  if (bin === undefined) throw new Error(`Cannot start PostgreSQL: it is not installed; ${INSTALL}`);
  const folder = mkdtempSync(join(tmpdir(), "breakwater-postgres-"));
  const owner = ownerOf(folder);
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  writeFileSync(passwordFile, PASSWORD);
  if (owner) chownSync(passwordFile, owner.uid, owner.gid);
  run(join(bin, "initdb"), ["-D", data, "-U", USER, "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-N"], owner);
  const [port] = (await freePorts(1)) as [number];
  const settings = [`port=${port}`, "listen_addresses=127.0.0.1", `unix_socket_directories=${folder}`, "fsync=off"];
  if (tls) {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"];
    run("openssl", ["req", "-x509", "-newkey", "rsa:2048", ...subject, "-keyout", key, "-out", certificate], owner);
    settings.push("ssl=on", `ssl_key_file=${key}`, `ssl_cert_file=${certificate}`);
  }
  const url = `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}`;
  let server: ChildProcess | null = null;
  const kill = () => server?.kill("SIGKILL");
  const start = async () => {
    const args = ["-D", data, ...settings.flatMap((setting) => ["-c", setting])];
    const child = spawn(join(bin, "postgres"), args, { ...owner, cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
    server = child;
    let printed = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    process.once("exit", kill);
    await poll("PostgreSQL to be ready", async () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}; it printed:\n${printed}`);
      return readFileSync(join(data, "postmaster.pid"), "utf8").includes("ready");
    });
  };
  const stop = async () => {
    const child = server;
    server = null;
    process.off("exit", kill);
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGINT");
    const impatience = setTimeout(() => child.kill("SIGQUIT"), 5_000);
    await ended;
    clearTimeout(impatience);
  };
  let databases = 0;
  await start();
  return {
    port,
    newDatabase: async () => {
      const name = `breakwater_${++databases}`;
      const sql = postgres(`${url}/postgres`, { max: 1, onnotice: () => {} });
      try {
        await sql.unsafe(`CREATE DATABASE ${name}`);
      } finally {
        await sql.end();
      }
      return `${url}/${name}`;
    },
    stop,
    start,
    remove: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: Debian's package has made a user for it. */
function ownerOf(folder: string): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const entry = readFileSync("/etc/passwd", "utf8").match(/^postgres:[^:]*:(\d+):(\d+):/m);
  if (!entry) throw new Error(`Cannot start PostgreSQL: there is no user postgres, and it does not run as root`);
  const owner = { uid: Number(entry[1]), gid: Number(entry[2]) };
  chownSync(folder, owner.uid, owner.gid);
  return owner;
}

function run(command: string, args: readonly string[], owner: Owner | undefined): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...owner,
    cwd: tmpdir(),
    encoding: "utf8",
    timeout: 60_000,
  });
  if (status !== 0) throw new Error(`Cannot run ${command}: ${error?.message ?? stdout + stderr}`);
}

function findBinaries(): string | undefined {
  const found = globSync("/usr/lib/postgresql/*/bin/initdb").sort();
  return found
    .map((path) => dirname(path))
    .filter((folder) => existsSync(join(folder, "postgres")))
    .at(-1);
}
