import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import type { Transition } from "../../src/breaker/state.ts";
import { poll } from "../support/poll.ts";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { KEY, newFleet, serverForTests } from "../support/postgres-stores.ts";
import { startScript } from "../support/script.ts";

/** A way to the server that a test can break. */
async function startProxy(t: TestContext, port: number, onData: (data: Buffer, client: Socket) => boolean) {
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) sockets.add(socket.on("error", () => {}));
    client.on("data", (data) => {
      if (onData(data, client)) upstream.write(data);
    });
    upstream.pipe(client);
    client.on("close", () => upstream.end());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return (proxy.address() as AddressInfo).port;
}

describe("a database that is not as it should be", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests({ tls: true });

  test("a corrupt row is put aside, and the circuit starts closed with the hold that it had", async (t) => {
    const fleet = await newFleet(t, await server());
    const before = (await fleet.join()).breaker({ failureThreshold: 1 });
    await before.recordFailure();
    await before.isolate("maintenance", "jo");
    await fleet.query("UPDATE breakwater.breakers SET row = '{\"version\":1,'");
    const { breaker, problems, store } = await fleet.join();
    assert.equal(breaker().state, "isolated");
    await poll("the row to be mended", () => problems.length > 0, { timeoutMs: 2_000, everyMs: 5 });
    assert.equal(problems[0]?.kind, "corrupt");
    assert.match(problems[0]?.message ?? "", /row 1 of table breakwater\.quarantine$/);
    const [copy] = await fleet.query<{ row: string }>("SELECT row FROM breakwater.quarantine WHERE id = 1");
    assert.equal(copy?.row, '{"version":1,');
    await breaker().release();
    assert.equal(breaker().state, "closed");
    assert.deepEqual((await store.breakers())[0]?.record, breaker().record);
    assert.equal(problems.length, 1);
  });

  test("a newer schema is not touched, nor is anything that is stored in it", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker, store } = await fleet.join();
    const one = breaker({ failureThreshold: 1 });
    await one.recordFailure();
    await one.isolate("maintenance", "jo");
    await store.budget(KEY.host, "account", 5).reserve();
    await store.close();
    await fleet.query("INSERT INTO breakwater.migrations (version) VALUES (99)");
    const before = await fleet.rows();
    assert.deepEqual(
      Object.keys(before).filter((table) => before[table]?.length),
      ["breakers", "budget_starts", "budgets", "holds", "migrations", "transitions"],
    );
    await assert.rejects(fleet.join(), { name: "NewerSchemaError", message: /schema 99/ });
    assert.deepEqual(await fleet.rows(), before);
  });

  test("many that find the database empty make one schema", async (t) => {
    const fleet = await newFleet(t, await server());
    await Promise.all(Array.from({ length: 6 }, () => fleet.join()));
    assert.equal((await fleet.query("SELECT * FROM breakwater.migrations")).length, 1);
  });

  test("who may create no schema is told so, and can be given one", async (t) => {
    const fleet = await newFleet(t, await server());
    await fleet.query("CREATE ROLE guest LOGIN PASSWORD 'guest-password'");
    const url = Object.assign(new URL(fleet.url), { username: "guest", password: "guest-password" }).href;
    await assert.rejects(fleet.join({}, url), { name: "DatabaseError", message: /permission denied for database/ });
    await fleet.query("CREATE SCHEMA breakwater AUTHORIZATION guest");
    const { breaker, problems } = await fleet.join({}, url);
    await breaker({ failureThreshold: 1 }).recordFailure();
    const other = await fleet.join({}, url);
    assert.equal(other.breaker().state, "open");
    assert.deepEqual([...problems, ...other.problems], []);
    assert.deepEqual(await fleet.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'breakwater'"), [
      { tableowner: "guest" },
    ]);
  });

  test("when the server stops, all goes on in memory with what was known, and this is said once", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    const { breaker, store, problems } = await fleet.join();
    const [one, other] = [breaker({ failureThreshold: 3 }), breaker({}, { ...KEY, name: "alpaca.data" })];
    const budget = store.budget(KEY.host, "account", 1);
    await one.recordFailure();
    await one.recordFailure();
    await budget.reserve();
    await running.stop();
    try {
      await one.recordFailure();
      await other.isolate("by hand");
      assert.deepEqual([one.state, other.state], ["open", "isolated"]);
      assert.equal((await budget.reserve()).waitMs, 0);
      assert.ok((await budget.reserve()).waitMs > 59_000);
      await budget.pause(1_000);
      assert.ok((await budget.pausedMs()) > 500);
      assert.equal(await budget.remaining(), 0);
      await assert.rejects(async () => store.outbox.size(), { name: "DatabaseError" });
      await assert.rejects(fleet.join(), /ECONNREFUSED/);
      await store.close();
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.kind, "unreachable");
      assert.doesNotMatch(problems[0]?.message ?? "", /pg-password|postgres:\/\//);
    } finally {
      await running.start();
    }
  });

  test("who stops hearing of the others listens again, and reads what it missed", async (t) => {
    const fleet = await newFleet(t, await server());
    const [deaf, other] = [await fleet.join(), await fleet.join()];
    await fleet.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    await other.breaker().isolate("unheard", "jo");
    await poll("it to know", () => deaf.breaker().state === "isolated", { timeoutMs: 2_000, everyMs: 10 });
    await other.breaker().release();
    await poll("it to hear again", () => deaf.breaker().state === "closed", { timeoutMs: 1_000, everyMs: 5 });
    assert.deepEqual([...deaf.problems, ...other.problems], []);
  });

  test("a restart of the server is no trouble to a store that nothing was asked of meanwhile", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    const { breaker, problems, store } = await fleet.join();
    await breaker().recordFailure();
    await running.stop();
    await running.start();
    const other = await fleet.join();
    await other.breaker().isolate("restarted", "jo");
    await poll("it to hear again", () => breaker().state === "isolated", { timeoutMs: 5_000, everyMs: 10 });
    await breaker().release("jo");
    assert.equal((await other.store.history({})).length, 2);
    await store.close();
    assert.deepEqual(problems, []);
  });

  test("a service that lost the server hears of an operator again when it is back", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    const { breaker, problems, store } = await fleet.join();
    const budget = store.budget(KEY.host, "account", 1);
    await running.stop();
    await breaker().recordFailure();
    await budget.reserve();
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ["unreachable"],
    );
    await running.start();
    const other = await fleet.join();
    await other.breaker().isolate("restarted", "jo");
    await other.store.budget(KEY.host, "account", 1).reserve();
    await poll("it to hear again", () => breaker().state === "isolated", { timeoutMs: 10_000, everyMs: 10 });
    await assert.rejects(breaker().enter(), /isolated by an operator: restarted/);
    assert.equal(await budget.remaining(), 0);
    await breaker().release("jo");
    assert.equal(other.problems.length, 0);
    assert.equal((await other.store.history({})).length, 2);
    assert.equal(problems.length, 1);
  });

  test("a change whose commit was not answered is reported as it was stored, not a second time", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    let isCut = false;
    const port = await startProxy(t, running.port, (data, client) => {
      if (isCut && data.includes("COMMIT")) client.pause().unpipe();
      if (isCut && data.includes("COMMIT")) setImmediate(() => client.destroy());
      return true;
    });
    const { breaker, problems } = await fleet.join({}, fleet.url.replace(`:${running.port}`, `:${port}`));
    const one = breaker({ failureThreshold: 2 });
    const reported: Transition[] = [];
    one.onTransition((transition) => reported.push(transition));
    await one.recordFailure();
    isCut = true;
    await one.recordFailure();
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ["unreachable"],
    );
    const observer = await fleet.join();
    const [entry] = await poll("the change to be stored", async () => {
      const history = await observer.store.history({});
      return history.length > 0 && history;
    });
    assert.deepEqual(
      reported.map(({ eventId, to }) => [eventId, to]),
      [[entry?.eventId, "open"]],
    );
    assert.equal(one.state, "open");
  });

  test("a row that someone keeps locked, and a server that does not answer, hold up nobody for long", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    let isSilent = false;
    const port = await startProxy(t, running.port, () => !isSilent);
    const held = await fleet.join();
    const cut = await fleet.join({}, fleet.url.replace(`:${running.port}`, `:${port}`));
    await held.breaker().recordFailure();
    await cut.breaker().recordFailure();
    await fleet.query("BEGIN; SELECT * FROM breakwater.breakers FOR UPDATE");
    isSilent = true;
    const startedMs = performance.now();
    await Promise.all([held.breaker().recordFailure(), cut.breaker().recordFailure()]);
    await assert.rejects(fleet.join({}, fleet.url.replace(`:${running.port}`, `:${port}`)), /no answer within/);
    assert.ok(performance.now() - startedMs < 6_000);
    await fleet.query("ROLLBACK");
    assert.match(held.problems[0]?.message ?? "", /statement timeout/);
    assert.match(cut.problems[0]?.message ?? "", /no answer within 2500 ms/);
  });

  test("what goes wrong is told without the URL and the password", async (t) => {
    const running = await server();
    const fleet = await newFleet(t, running);
    const wrong = fleet.url.replace(/:[^:@]+@/, ":wrong-password@");
    for (const url of [wrong, "postgres://keeper:wrong-password@127.0.0.1:bad/x", `${wrong}_missing`]) {
      await assert.rejects(fleet.join({}, url), (error: Error) => {
        assert.equal(error.name, "DatabaseError");
        const all = `${error.message} ${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
        assert.doesNotMatch(all, /wrong-password|postgres:\/\/keeper/);
        return true;
      });
    }
  });

  test("TLS is used when the URL asks for it", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker } = await fleet.join({}, `${fleet.url}?sslmode=require`);
    await breaker().isolate("over TLS");
    const found = await fleet.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'breakwater' AND datname = current_database()",
    );
    assert.deepEqual(
      found.map(({ ssl }) => ssl),
      [true, true],
    );
    const checked = `${fleet.url.replace("127.0.0.1", "localhost")}?sslmode=verify-full`;
    await assert.rejects(fleet.join({}, checked), /self-signed certificate/);
  });

  for (const runtime of ["node", "deno"] as const) {
    test(`an open store keeps no process alive on ${runtime}`, async (t) => {
      const fleet = await newFleet(t, await server());
      for (const url of [fleet.url, `${fleet.url}?sslmode=require`]) {
        const env = { DATABASE_URL: url };
        const { child, ended } = startScript("test/fixtures/postgres-member.ts", { args: ["idle"], runtime, env });
        await once(child.stdout, "data");
        const readyMs = performance.now();
        const { code, stderr } = await ended;
        assert.deepEqual([code, stderr], [0, ""]);
        assert.ok(performance.now() - readyMs < 2_000);
      }
    });
  }
});
