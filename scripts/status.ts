import type { Account, AlpacaClient, Clock, Order, Position } from "../src/alpaca/client.ts";
import type { CircuitBreaker } from "../src/breaker/circuit-breaker.ts";
import { runScript } from "../src/script/run-script.ts";

interface Status {
  readonly environment: string;
  readonly account: Account;
  readonly clock: Clock;
  readonly positions: readonly Position[];
  readonly openOrders: readonly Order[];
  readonly breakers: readonly BreakerStatus[];
}

interface BreakerStatus {
  readonly name: string;
  readonly state: string;
  readonly timeUntilRecoveryMs: number | null;
}

await runScript({
  name: "status",
  description: "Shows the account, the market clock, positions, open orders and circuit breakers in one screen.",
  run: async ({ alpaca, breakers, config, progress }): Promise<Status> => {
    progress("asking Alpaca …");
    const account = await alpaca.getAccount();
    const [clock, positions, openOrders] = await readRest(alpaca);
    return {
      environment: config.alpaca.environment,
      account,
      clock,
      positions,
      openOrders,
      breakers: [...new Set([breakers.trading, breakers.data])].map(describeBreaker),
    };
  },
  render: (status: Status, { style, table, facts }) => {
    const { account, clock, positions, openOrders, breakers } = status;
    const blocks = [
      account.trading_blocked && "trading",
      account.account_blocked && "account",
      account.transfers_blocked && "transfers",
    ].filter(Boolean);
    const money = (text: string | null | undefined) => text ?? "-";
    return [
      style("bold", `Account ${account.account_number ?? account.id} (${status.environment})`),
      facts([
        ["status", `${account.status}${blocks.length > 0 ? style("red", `, blocked: ${blocks.join(", ")}`) : ""}`],
        ["equity", `${money(account.equity)} ${account.currency ?? ""}`],
        ["cash", money(account.cash)],
        ["buying power", money(account.buying_power)],
        [
          "market",
          clock.is_open ? style("green", `open until ${clock.next_close}`) : `closed until ${clock.next_open}`,
        ],
      ]),
      "",
      style("bold", `Positions (${positions.length})`),
      positions.length === 0
        ? "none"
        : table(
            ["symbol", "side", "qty", "entry", "value", "unrealized"],
            positions.map((one) => [
              one.symbol,
              one.side ?? "-",
              one.qty,
              money(one.avg_entry_price),
              money(one.market_value),
              money(one.unrealized_pl),
            ]),
          ),
      "",
      style("bold", `Open orders (${openOrders.length})`),
      openOrders.length === 0
        ? "none"
        : table(
            ["symbol", "side", "type", "qty", "limit", "status", "submitted", "id"],
            openOrders.map((one) => [
              one.symbol ?? "multi-leg",
              one.side ?? "-",
              one.type ?? "-",
              one.qty ?? one.notional ?? "-",
              money(one.limit_price),
              one.status,
              shortTime(one.submitted_at),
              one.id,
            ]),
          ),
      "",
      style("bold", "Circuit breakers"),
      table(
        ["name", "state", "recovery in"],
        breakers.map((one) => [
          one.name,
          style(one.state === "closed" ? "green" : "red", one.state),
          one.timeUntilRecoveryMs ? `${Math.ceil(one.timeUntilRecoveryMs / 1_000)}s` : "-",
        ]),
      ),
    ].join("\n");
  },
});

// The first call went alone: of several, a half-open circuit would reject all but one.
function readRest(alpaca: AlpacaClient): Promise<[Clock, Position[], Order[]]> {
  return Promise.all([alpaca.getClock(), alpaca.getPositions(), alpaca.getOrders()]);
}

function describeBreaker({ name, state, timeUntilRecoveryMs }: CircuitBreaker): BreakerStatus {
  return { name, state, timeUntilRecoveryMs };
}

function shortTime(text: string | null | undefined): string {
  return text ? `${text.slice(0, 16).replace("T", " ")}Z` : "-";
}
