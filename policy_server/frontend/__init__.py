"""The pages of the Streamlit front-end; they speak HTTP to the server."""
