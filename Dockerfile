# A container image of the server: static, nothing but the programs, not root.
#
#     docker build -t niks3-server .
#     docker run -p 5751:5751 -v niks3:/data niks3-server

FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base cmake perl linux-headers
WORKDIR /src
COPY . .
# On Alpine, programs are linked statically by default.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p niks3-server -p niks3 \
    && install -D -t /out/usr/bin target/release/niks3-server target/release/niks3 \
    && install -d -m 0700 -o 65532 -g 65532 /out/data \
    && install -d -m 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/ /
ENV NIKS3_HTTP_ADDR=0.0.0.0:5751 NIKS3_DATA_DIR=/data
EXPOSE 5751
VOLUME /data
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/usr/bin/niks3-server"]
