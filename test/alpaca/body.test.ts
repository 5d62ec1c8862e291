import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { json, setUp, startScripted } from "./support.ts";

const TEXT = '{"name":"Zürich ✓","big":"9007199254740993"}';

/** The same answer by the fetch under test and by the runtime's own, for comparison. */
async function both(send: Parameters<typeof startScripted>[0], path = "/v2/clock", init: RequestInit = {}) {
  const server = await startScripted(send);
  const { alpacaFetch } = setUp(server);
  const ours = () => alpacaFetch(server.url + path, init);
  const native = () => fetch(server.url + path, { ...init, redirect: "manual" });
  return { ours, native, [Symbol.asyncDispose]: server.close };
}

const answer = json(JSON.parse(TEXT), 200, { "X-Request-ID": "abc", "X-RateLimit-Remaining": "7" });

test("json, text, arrayBuffer, bytes and blob give what fetch gives", async () => {
  await using calls = await both(answer);
  assert.deepEqual(await (await calls.ours()).json(), JSON.parse(TEXT));
  assert.equal(await (await calls.ours()).text(), TEXT);
  assert.equal(new TextDecoder().decode(await (await calls.ours()).arrayBuffer()), TEXT);
  const bytes = await (await calls.ours()).bytes();
  assert.ok(bytes instanceof Uint8Array);
  assert.equal(new TextDecoder().decode(bytes), TEXT);
  const [blob, expected] = [await (await calls.ours()).blob(), await (await calls.native()).blob()];
  assert.equal(blob.type, expected.type);
  assert.equal(await blob.text(), TEXT);
});

test("status, statusText, ok, headers, url, type and redirected are those of fetch", async () => {
  await using calls = await both(answer, "/v2/clock?a=1");
  const [ours, native] = [await calls.ours(), await calls.native()];
  for (const key of ["status", "statusText", "ok", "url", "type", "redirected", "bodyUsed"] as const) {
    assert.equal(ours[key], native[key], key);
  }
  assert.ok(ours instanceof Response);
  assert.equal(ours.headers.get("x-request-id"), "abc");
  assert.deepEqual([...ours.headers.keys()], [...native.headers.keys()]);
});

test("a body can be read once: every second way of reading it is a TypeError", async () => {
  await using calls = await both(answer);
  const ways = ["json", "text", "arrayBuffer", "bytes", "blob", "formData"] as const;
  for (const first of ways.slice(0, 5)) {
    for (const second of ways) {
      const response = await calls.ours();
      assert.equal(response.bodyUsed, false);
      await response[first]();
      assert.equal(response.bodyUsed, true);
      await assert.rejects(response[second](), TypeError, `${first} then ${second}`);
    }
    const response = await calls.ours();
    await response[first]();
    assert.throws(() => response.clone(), TypeError);
    assert.throws(() => response.body?.getReader(), TypeError);
  }
});

test("a clone can be read beside the original, keeps url and status, and shares no memory with it", async () => {
  await using calls = await both(answer);
  const response = await calls.ours();
  const twin = response.clone();
  const third = twin.clone();
  assert.deepEqual([twin.url, twin.status, twin.headers.get("x-request-id")], [response.url, 200, "abc"]);
  const bytes = new Uint8Array(await response.arrayBuffer());
  bytes.fill(32);
  assert.equal(twin.bodyUsed, false);
  assert.equal(await twin.text(), TEXT);
  assert.deepEqual(await third.json(), JSON.parse(TEXT));
  await assert.rejects(twin.text(), TypeError);
});

test("an error answer can be cloned and read", async () => {
  await using calls = await both(json({ code: 40410000, message: "not found" }, 404));
  const response = await calls.ours();
  assert.equal(response.clone().status, 404);
  assert.deepEqual(await response.clone().json(), await response.json());
});

test("the body is a stream that counts as used once it was read, and locks the other ways while it is", async () => {
  await using calls = await both(answer);
  const read = await calls.ours();
  const chunks: Uint8Array[] = [];
  for await (const chunk of read.body as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), TEXT);
  assert.equal(read.bodyUsed, true);
  await assert.rejects(read.text(), TypeError);

  const locked = await calls.ours();
  const reader = locked.body?.getReader();
  assert.equal(locked.bodyUsed, false);
  await assert.rejects(locked.json(), TypeError);
  assert.throws(() => locked.clone(), TypeError);
  reader?.releaseLock();
  assert.equal(await locked.text(), TEXT);

  const looked = await calls.ours();
  assert.ok(looked.body instanceof ReadableStream);
  assert.equal(looked.body, looked.body);
  assert.equal(looked.bodyUsed, false);
  assert.equal(await looked.text(), TEXT);
  assert.throws(() => looked.body?.getReader(), TypeError);

  const piped = await calls.ours();
  assert.equal(await new Response(piped.body).text(), TEXT);
  assert.equal(piped.bodyUsed, true);

  const cancelled = await calls.ours();
  await cancelled.body?.cancel();
  assert.equal(cancelled.bodyUsed, true);
  await assert.rejects(cancelled.text(), TypeError);
});

test("a form is read as fetch reads it", async () => {
  const html = (response: ServerResponse) =>
    void response.writeHead(200, { "Content-Type": "application/x-www-form-urlencoded" }).end("a=1&b=%20");
  await using calls = await both(html, "/v1beta1/logos/form");
  const form = await (await calls.ours()).formData();
  assert.deepEqual([...form], [...(await (await calls.native()).formData())]);
});

test("a byte order mark is left out of text and JSON, and kept in the bytes", async () => {
  const bom = (response: ServerResponse) =>
    void response.writeHead(200, { "Content-Type": "application/json" }).end(`\uFEFF${TEXT}`);
  await using calls = await both(bom);
  assert.equal(await (await calls.ours()).text(), await (await calls.native()).text());
  assert.deepEqual(await (await calls.ours()).json(), JSON.parse(TEXT));
  assert.equal((await (await calls.ours()).bytes()).length, Buffer.byteLength(TEXT) + 3);
});

test("bytes that are no UTF-8 are read as fetch reads them", async () => {
  const broken = (response: ServerResponse) =>
    void response
      .writeHead(200, { "Content-Type": "application/json" })
      .end(Buffer.from([0x22, 0xff, 0xc3, 0x28, 0x22]));
  await using calls = await both(broken);
  assert.equal(await (await calls.ours()).text(), await (await calls.native()).text());
});

test("a compressed body is read as what it was before", async () => {
  const compressed = (response: ServerResponse) =>
    void response
      .writeHead(200, { "Content-Type": "application/json", "Content-Encoding": "gzip" })
      .end(gzipSync(TEXT));
  await using calls = await both(compressed);
  assert.deepEqual(await (await calls.ours()).clone().json(), JSON.parse(TEXT));
  assert.equal(await (await calls.ours()).text(), TEXT);
  assert.equal(await new Response((await calls.ours()).body).text(), TEXT);
});

test("a picture of the logo service arrives byte for byte", async () => {
  const picture = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256));
  const logo = (response: ServerResponse) => void response.writeHead(200, { "Content-Type": "image/png" }).end(picture);
  await using calls = await both(logo, "/v1beta1/logos/AAPL");
  const response = await calls.ours();
  assert.ok(picture.equals(await response.clone().bytes()));
  const blob = await response.blob();
  assert.equal(blob.type, "image/png");
  assert.ok(picture.equals(new Uint8Array(await blob.arrayBuffer())));
});

test("broken JSON is handed back as it came, and json rejects with a SyntaxError", async () => {
  const broken = (response: ServerResponse) =>
    void response.writeHead(200, { "Content-Type": "application/json" }).end('{"a": tr');
  await using calls = await both(broken);
  await assert.rejects((await calls.ours()).json(), SyntaxError);
  assert.equal(await (await calls.ours()).text(), '{"a": tr');
});

test("JSON that is null, false or 0 is JSON", async () => {
  for (const value of [null, false, 0, ""]) {
    await using server = await startScripted(json(value));
    const { alpacaFetch, outcomes } = setUp(server);
    assert.equal(await (await alpacaFetch(`${server.url}/v2/clock`)).json(), value);
    assert.deepEqual(outcomes, ["success"]);
  }
});

test("a 204 and an empty body are read as fetch reads them", async () => {
  const none = (response: ServerResponse) => void response.writeHead(204).end();
  await using calls = await both(none, "/v2/orders/1", { method: "DELETE" });
  const [ours, native] = [await calls.ours(), await calls.native()];
  assert.equal(ours.body, native.body);
  assert.equal(ours.bodyUsed, native.bodyUsed);
  assert.equal(ours.clone().status, 204);
  assert.equal(await ours.text(), "");
  const empty = (response: ServerResponse) => void response.writeHead(404, { "Content-Length": "0" }).end();
  await using others = await both(empty);
  assert.equal((await (await others.ours()).arrayBuffer()).byteLength, 0);
  await assert.rejects((await others.ours()).json(), SyntaxError);
});
