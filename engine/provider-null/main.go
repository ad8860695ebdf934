// SPDX-License-Identifier: MPL-2.0

// Command provider-null is Terrane's own provider with the documented schema of
// hashicorp/null: one resource that manages nothing and one data source that
// copies its inputs. It exists for tests and the demo, which must work offline;
// use the original in production.
package main

import (
	"context"
	"log"
	"math/rand/v2"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// version is set by the linker to the version under which the provider is installed.
var version = "0.0.0"

func main() {
	err := providerserver.Serve(context.Background(), newProvider, providerserver.ServeOpts{
		Address:         "registry.opentofu.org/hashicorp/null",
		ProtocolVersion: 5,
	})
	if err != nil {
		log.Fatal(err)
	}
}

type nullProvider struct{}

func newProvider() provider.Provider { return nullProvider{} }

func (nullProvider) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "null"
	response.Version = version
}

func (nullProvider) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse) {}

func (nullProvider) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}

func (nullProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newNullResource}
}

func (nullProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{newNullDataSource}
}

// randomID returns a random non-negative 64-bit integer in decimal.
func randomID() string { return strconv.FormatInt(rand.Int64(), 10) }
