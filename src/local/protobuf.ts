/** How the value of a field is read. Whole numbers of 64 bits become strings and bytes base64, as in protobuf's JSON. */
export type Scalar = "string" | "bytes" | "hex" | "bool" | "int32" | "int64" | "fixed64" | "sfixed64" | "double";

/** Fields of a message by their number: name and type; a type in a list is a repeated field. */
export interface Message {
  [fieldNumber: number]: readonly [name: string, type: FieldType];
}

type Single = Scalar | Message;
type FieldType = Single | readonly [Single];

interface WireValue {
  readonly wireType: number;
  /** Payload of a varint. */
  readonly varint: bigint;
  /** Payload of every other wire type. */
  readonly bytes: Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const SCALAR_WIRE_TYPE: Record<Scalar, number> = {
  string: LENGTH_DELIMITED,
  bytes: LENGTH_DELIMITED,
  hex: LENGTH_DELIMITED,
  bool: VARINT,
  int32: VARINT,
  int64: VARINT,
  fixed64: FIXED64,
  sfixed64: FIXED64,
  double: FIXED64,
};
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a message in protobuf's wire format into the object that its JSON form would be; unknown fields are left out.
 * Throws when the bytes end early or do not fit the fields.
 */
export function decodeMessage(bytes: Uint8Array, message: Message): Record<string, unknown> {
  const decoded: Record<string, unknown> = {};
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) {
    const tag = Number(reader.varint());
    const value = reader.value(tag & 7);
    const field = message[tag >>> 3];
    if (field === undefined) continue;
    const [name, type] = field;
    if (isRepeated(type)) {
      const values = (decoded[name] ?? []) as unknown[];
      decoded[name] = values;
      values.push(...readRepeated(value, type[0]));
    } else {
      decoded[name] = readSingle(value, type);
    }
  }
  return decoded;
}

function isRepeated(type: FieldType): type is readonly [Single] {
  return Array.isArray(type);
}

function readRepeated(value: WireValue, type: Single): unknown[] {
  const isPacked = typeof type === "string" && value.wireType !== SCALAR_WIRE_TYPE[type];
  if (!isPacked || value.wireType !== LENGTH_DELIMITED) return [readSingle(value, type)];
  const reader = new WireReader(value.bytes);
  const values: unknown[] = [];
  while (!reader.isAtEnd) values.push(readSingle(reader.value(SCALAR_WIRE_TYPE[type as Scalar]), type));
  return values;
}

function readSingle({ wireType, varint, bytes }: WireValue, type: Single): unknown {
  const expected = typeof type === "string" ? SCALAR_WIRE_TYPE[type] : LENGTH_DELIMITED;
  if (wireType !== expected) throw new Error(`Cannot read protobuf: wire type ${wireType} where ${expected} is due`);
  if (typeof type !== "string") return decodeMessage(bytes, type);
  switch (type) {
    case "string":
      return utf8.decode(bytes);
    case "bytes":
      return Buffer.from(bytes).toString("base64");
    case "hex":
      return Buffer.from(bytes).toString("hex");
    case "bool":
      return varint !== 0n;
    case "int32":
      return Number(BigInt.asIntN(32, varint));
    case "int64":
      return String(BigInt.asIntN(64, varint));
    case "fixed64":
      return String(viewOf(bytes).getBigUint64(0, true));
    case "sfixed64":
      return String(viewOf(bytes).getBigInt64(0, true));
    case "double":
      return viewOf(bytes).getFloat64(0, true);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class WireReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#take(1)[0]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("Cannot read protobuf: a varint has more than 10 bytes");
  }

  value(wireType: number): WireValue {
    const nothing = new Uint8Array(0);
    if (wireType === VARINT) return { wireType, varint: this.varint(), bytes: nothing };
    return { wireType, varint: 0n, bytes: this.#take(this.#lengthOf(wireType)) };
  }

  #lengthOf(wireType: number): number {
    if (wireType === FIXED64) return 8;
    if (wireType === FIXED32) return 4;
    if (wireType === LENGTH_DELIMITED) return Number(this.varint());
    throw new Error(`Cannot read protobuf: unknown wire type ${wireType}`);
  }

  #take(length: number): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw new Error("Cannot read protobuf: the bytes end early");
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}
