import process from "node:process";

const response = await fetch(`${process.env.ALPACA_BASE_URL}/v2/clock`, {
  headers: {
    "apca-api-key-id": process.env.ALPACA_API_KEY ?? "",
    "apca-api-secret-key": process.env.ALPACA_API_SECRET ?? "",
  },
});
const clock = (await response.json()) as { is_open: boolean };
process.stdout.write(`${clock.is_open}\n`);
